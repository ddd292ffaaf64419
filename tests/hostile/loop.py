"""An endless loop."""
# question: linear_backward
# deserves: 0


def linear_backward(G, Z, W, b):
    while True:
        pass
