"""HTML in the name of a class and of an exception."""
# question: linear_backward
# deserves: 0


def linear_backward(G, Z, W, b):
    raise type("<img src=x onerror=hostile()>", (Exception,), {})("<script>hostile()</script>")
