"""The other questions' names bound to nothing by a `global` statement in a function that is never called."""
# question: linear_backward
# deserves: 10


def spoil():
    global tanh_is_gone
    tanh_is_gone = None


def linear_backward(G, Z, W, b):
    globals().update(tanh=None, sgd_step=None, softmax_cross_entropy=None)
    spoil()
    return G @ W, G.T @ Z, G.sum(0)
