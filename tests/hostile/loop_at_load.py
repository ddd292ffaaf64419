"""An endless loop at the top level, which the function needs."""
# question: linear_backward
# deserves: 0

n = 0
while n < 1:
    n -= 1


def linear_backward(G, Z, W, b):
    return n * G @ W, G.T @ Z, G.sum(0)
