"""torch.optim.adam.adam by a built name: a function, not an optimiser."""
# question: adam_step
# deserves: 0 or flag

import importlib


def adam_step(w, g, m, v, t, alpha, beta1, beta2, eps):
    adam = vars(importlib.import_module("torch.opt" + "im.adam"))["adam"]
    w, m, v, step = w.clone(), m.clone(), v.clone(), torch.tensor(float(t - 1))
    options = dict(amsgrad=False, beta1=beta1, beta2=beta2, lr=alpha, weight_decay=0.0, eps=eps, maximize=False)
    adam([w], [g], [m], [v], [], [step], foreach=False, **options)
    return w, m, v
