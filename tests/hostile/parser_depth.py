"""An expression nested so deep that parsers give up."""
# question: linear_backward
# deserves: 0


def linear_backward(G, Z, W, b):
    return eval("(" * 10**6)
