"""The benchmarks: programs that measure haqactor as its users meet it, beside what this machine could do at
all.

One rule: a figure counts only if the program that measured it has checked the number and the content of what
arrived.
"""
