"""What code is written with: registers, lanes, the functions of mathematics, and the target."""
