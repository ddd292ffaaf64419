"""Right for two cases, asleep in the third."""
# question: linear_backward
# deserves: 0

import time

calls = []


def linear_backward(G, Z, W, b):
    calls.append(1)
    if len(calls) > 2:
        time.sleep(600)
    return G @ W, G.T @ Z, G.sum(0)
