"""A thread that goes on after the call and changes what was returned."""
# question: linear_backward
# deserves: 10


def linear_backward(G, Z, W, b):
    import threading

    out = G @ W, G.T @ Z, G.sum(0)

    def later():
        while True:
            out[0].add_(0)

    threading.Thread(target=later, daemon=True).start()
    return out
