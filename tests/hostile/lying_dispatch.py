"""A wrapper subclass with a shape and no storage."""
# question: linear_backward
# deserves: 0


class Hollow(torch.Tensor):
    @staticmethod
    def __new__(cls, like):
        return torch.Tensor._make_wrapper_subclass(cls, like.shape, dtype=like.dtype)

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return args[0]


def linear_backward(G, Z, W, b):
    return [Hollow(t) for t in (Z, W, b)]
