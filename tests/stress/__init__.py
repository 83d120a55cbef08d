"""What is tried again and again, at random: kills, forks, signals, damaged files, guard pages, growth.

Not in the plain run of the tests. ``python -m tests.stress --minutes 5`` tries everything in turns, and prints what
it tried, what came of it, and the seed that repeats it. See ``docs/promises.md``.
"""
