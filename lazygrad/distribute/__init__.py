"""One step on several workers: what each computes of it, and what they exchange.

A step is written for the whole batch. Here its graph becomes that of one worker, which has some of the rows: every
value is the same on all workers, or each has its rows of it, or each has a part of a sum. See decision 31.
"""
