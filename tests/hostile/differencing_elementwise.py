"""One central difference gives an elementwise derivative."""
# question: tanh
# deserves: 0 or flag


def tanh(a):
    return torch.tanh(a), (torch.tanh(a + 1e-5) - torch.tanh(a - 1e-5)) / 2e-5
