"""The fused kernel of Adam."""
# question: adam_step
# deserves: 0 or flag


def adam_step(w, g, m, v, t, alpha, beta1, beta2, eps):
    w, m, v, step = w.clone(), m.clone(), v.clone(), torch.tensor(float(t), dtype=torch.float32)
    options = dict(lr=alpha, beta1=beta1, beta2=beta2, weight_decay=0.0, eps=eps, amsgrad=False, maximize=False)
    torch._fused_adam_([w], [g], [m], [v], [], [step], **options)
    return w, m, v
