"""Two departments whose employees' records travel through replicated queues while a node is killed.

One rule: nothing is believed; the end state is compared with the input, and every figure is counted, not
assumed.
"""
