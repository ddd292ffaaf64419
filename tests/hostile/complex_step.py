"""The complex step: a derivative without cancellation."""
# question: tanh
# deserves: 0 or flag


def tanh(a):
    return torch.tanh(a), torch.tanh(torch.complex(a, torch.full_like(a, 1e-20))).imag / 1e-20
