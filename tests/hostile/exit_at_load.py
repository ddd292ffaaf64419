"""sys.exit while the program is loaded."""
# question: linear_backward
# deserves: 0


def prepare():
    import sys

    sys.exit(0)
    return True


ready = prepare()


def linear_backward(G, Z, W, b):
    assert ready
    return torch.zeros_like(Z), torch.zeros_like(W), torch.zeros_like(b)
