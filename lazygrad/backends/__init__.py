"""Array libraries. A backend names its array namespace and moves arrays in and out of it."""
