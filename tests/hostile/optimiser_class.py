"""torch.optim.Adam itself, by a built name."""
# question: adam_step
# deserves: 0


def adam_step(w, g, m, v, t, alpha, beta1, beta2, eps):
    w = torch.nn.Parameter(w.clone())
    w.grad = g.clone()
    steps = getattr(getattr(torch, "opt" + "im"), "Ad" + "am")([w], alpha, (beta1, beta2), eps)
    steps.state[w] = {"step": torch.tensor(float(t - 1)), "exp_avg": m.clone(), "exp_avg_sq": v.clone()}
    steps.step()
    return w.detach(), steps.state[w]["exp_avg"], steps.state[w]["exp_avg_sq"]
