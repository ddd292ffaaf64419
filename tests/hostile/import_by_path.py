"""The questions loaded from their file by importlib."""
# question: linear_backward
# deserves: 0


def linear_backward(G, Z, W, b):
    import importlib.util, os, dl780

    path = os.path.join(list(dl780.__path__)[0], "questions", "backprop.py")
    spec = importlib.util.spec_from_file_location("stolen", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    question = module.linear_backward
    return list(question.answers(dict(G=G, Z=Z, W=W, b=b)).values())
