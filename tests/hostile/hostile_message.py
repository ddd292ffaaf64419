"""An exception with HTML, half a surrogate pair and ten megabytes in its message."""
# question: linear_backward
# deserves: 0


def linear_backward(G, Z, W, b):
    raise ValueError("<script>hostile()</script>\ud800\x00\x1b[2J" + "<b>" * 3_000_000)
