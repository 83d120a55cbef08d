"""What an environment keeps: variables, their arrays, the count of runs, and whose turn it is."""
