"""Memory without end."""
# question: linear_backward
# deserves: 0


def linear_backward(G, Z, W, b):
    held = []
    while True:
        held.append(bytearray(2**26))
