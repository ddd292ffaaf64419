"""Right answers of the lab `backprop` in the many ways that people write them: each must earn all points.

A cell's title is `question: how it is written`; it runs after all solutions of the lab, in their namespace.
"""
# ruff: noqa: F811, F821


# %% numerical_gradient: entry by entry with two clones
def numerical_gradient(f, x, eps):
    g = torch.empty_like(x)
    for index in np.ndindex(*x.shape):
        up, down = x.clone(), x.clone()
        up[index] += eps
        down[index] -= eps
        g[index] = (f(up) - f(down)) / (2 * eps)
    return g


# %% numerical_gradient: rows of an identity matrix
def numerical_gradient(f, x, eps):
    steps = eps * torch.eye(x.numel())
    g = [f(x + e.reshape(x.shape)) - f(x - e.reshape(x.shape)) for e in steps]
    return torch.stack(g).reshape(x.shape) / (2 * eps)


# %% numerical_gradient: numpy indices, a numpy array
def numerical_gradient(f, x, eps):
    g = np.zeros(x.shape)
    for index in np.ndindex(*x.shape):
        e = torch.zeros_like(x)
        e[index] = eps
        g[index] = (f(x + e).item() - f(x - e).item()) / (2 * eps)
    return g


# %% numerical_gradient: a copy of its own, changed and put back
def numerical_gradient(f, x, eps):
    x = x.clone()
    flat, g = x.view(-1), []
    for i in range(len(flat)):
        old = flat[i].item()
        flat[i] = old + eps
        f_plus = f(x)
        flat[i] = old - eps
        f_minus = f(x)
        flat[i] = old
        g.append((f_plus - f_minus) / (2 * eps))
    return torch.tensor(g).view_as(x)


# %% numerical_gradient: a nested list of Python floats
def numerical_gradient(f, x, eps):
    def entries(*index):
        if len(index) < x.ndim:
            return [entries(*index, i) for i in range(x.shape[len(index)])]
        e = torch.zeros_like(x)
        e[index] = eps
        return float(f(x + e) - f(x - e)) / (2 * eps)

    return entries()


# %% numerical_gradient: the slope of the four-point formula's halves
def numerical_gradient(f, x, eps):
    g = torch.zeros(x.numel(), dtype=x.dtype)
    for i in range(x.numel()):
        e = torch.nn.functional.one_hot(torch.tensor(i), x.numel()).reshape(x.shape)
        g[i] = 0.5 * (f(x + eps * e) / eps - f(x - eps * e) / eps)
    return g.reshape(x.shape)


# %% tanh: by 2σ(2a) - 1
def tanh(a):
    s = torch.sigmoid(2 * a)
    return 2 * s - 1, 4 * s * (1 - s)


# %% tanh: numpy
def tanh(a):
    f = np.tanh(a.numpy())
    return f, 1 - f * f


# %% tanh: float32
def tanh(a):
    f = torch.tanh(a.float())
    return f, 1 - f**2


# %% tanh: Python loops, nested lists
def tanh(a):
    f = [[math.tanh(v) for v in row] for row in a.tolist()]
    df = [[(1 - v) * (1 + v) for v in row] for row in f]
    return [f, df]


# %% tanh: from e^{-2|a|}, which cannot overflow
def tanh(a):
    e = torch.exp(-2 * a.abs())
    f = torch.sign(a) * (1 - e) / (1 + e)
    return f, 4 * e / (1 + e) ** 2


# %% tanh: a lambda and torch.nn.functional
tanh = lambda a: (torch.nn.functional.tanh(a), 1 - torch.nn.functional.tanh(a).square())


# %% sigmoid: 1 / (1 + e^{-a})
def sigmoid(a):
    f = 1 / (1 + torch.exp(-a))
    return f, f * (1 - f)


# %% sigmoid: numpy
def sigmoid(a):
    a = np.asarray(a)
    with np.errstate(over="ignore"):
        f = 1.0 / (1.0 + np.exp(-a))
    return f, f - f**2


# %% sigmoid: float32
def sigmoid(a):
    f = torch.sigmoid(a.to(torch.float32))
    return f, f * (1 - f)


# %% sigmoid: by the hyperbolic tangent
def sigmoid(a):
    t = torch.tanh(a / 2)
    return (1 + t) / 2, (1 - t**2) / 4


# %% sigmoid: two cases by torch.where
def sigmoid(a):
    e = torch.exp(-a.abs())
    f = torch.where(a >= 0, 1 / (1 + e), e / (1 + e))
    return f, e / (1 + e) ** 2


# %% sigmoid: one scalar at a time into own tensors
def sigmoid(a):
    f, df = torch.zeros_like(a), torch.zeros_like(a)
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            f[i, j] = torch.nn.functional.sigmoid(a[i, j])
            df[i, j] = f[i, j] * (1 - f[i, j])
    return f, df


# %% relu: the mask as Booleans
def relu(a):
    return torch.relu(a), a > 0


# %% relu: numpy
def relu(a):
    a = a.numpy()
    return np.maximum(a, 0), np.where(a > 0, 1.0, 0.0)


# %% relu: float32
def relu(a):
    a = a.float()
    return a * (a > 0), (a > 0).float()


# %% relu: the slope 1 at 0, by index
def relu(a):
    f, df = a.clone(), torch.ones_like(a)
    f[a < 0] = 0
    df[a < 0] = 0
    return f, df


# %% relu: the slope ½ at 0, by the sign
def relu(a):
    return (a + a.abs()) / 2, (torch.sign(a) + 1) / 2


# %% relu: Python loops, integers for the slope
def relu(a):
    rows = a.tolist()
    return [[max(v, 0.0) for v in row] for row in rows], [[int(v > 0) for v in row] for row in rows]


# %% relu: torch.nn.functional and torch.heaviside
def relu(a):
    return torch.nn.functional.relu(a), torch.heaviside(a, torch.tensor(0.0))


# %% layer_jacobians: rows of W scaled by broadcasting
def layer_jacobians(z, W, b):
    df = 1 - torch.tanh(W @ z + b) ** 2
    return df[:, None] * W, df[:, None] * torch.eye(len(b))


# %% layer_jacobians: einsum
def layer_jacobians(z, W, b):
    _, df = tanh(torch.einsum("kn,n->k", W, z) + b)
    return torch.einsum("k,kn->kn", df, W), torch.einsum("k,kj->kj", df, torch.eye(len(df)))


# %% layer_jacobians: numpy
def layer_jacobians(z, W, b):
    z, W, b = (v.numpy() for v in (z, W, b))
    J_b = np.diag(1 - np.tanh(W.dot(z) + b) ** 2)
    return J_b.dot(W), J_b


# %% layer_jacobians: float32
def layer_jacobians(z, W, b):
    z, W, b = z.float(), W.float(), b.float()
    _, df = tanh(W @ z + b)
    return torch.diag(df) @ W, torch.diag(df)


# %% layer_jacobians: entry by entry
def layer_jacobians(z, W, b):
    k, n = W.shape
    J_z, J_b = torch.zeros(k, n), torch.zeros(k, k)
    for i in range(k):
        a = sum(W[i, j] * z[j] for j in range(n)) + b[i]
        slope = 1 - math.tanh(a) ** 2
        J_b[i, i] = slope
        for j in range(n):
            J_z[i, j] = slope * W[i, j]
    return J_z, J_b


# %% softmax_cross_entropy: torch.softmax and a one-hot from an identity matrix
def softmax_cross_entropy(Z, y):
    P = torch.softmax(Z, dim=1)
    Y = torch.eye(Z.shape[1])[y]
    return -torch.log((P * Y).sum(dim=1)).mean(), (P - Y) / len(Z)


# %% softmax_cross_entropy: the loss by torch.nn.functional
def softmax_cross_entropy(Z, y):
    loss = torch.nn.functional.cross_entropy(Z, y)
    return loss, (Z.softmax(1) - torch.nn.functional.one_hot(y, Z.shape[1])) / Z.shape[0]


# %% softmax_cross_entropy: numpy
def softmax_cross_entropy(Z, y):
    Z, y = Z.numpy(), y.numpy()
    m = Z.shape[0]
    E = np.exp(Z - Z.max(axis=1, keepdims=True))
    P = E / E.sum(axis=1, keepdims=True)
    G = P.copy()
    G[np.arange(m), y] -= 1
    return -np.log(P[np.arange(m), y]).mean(), G / m


# %% softmax_cross_entropy: float32
def softmax_cross_entropy(Z, y):
    log_p = torch.log_softmax(Z.float(), dim=1)
    G = log_p.exp()
    G[range(len(Z)), y] -= 1.0
    return -log_p.gather(1, y[:, None]).mean(), G / len(Z)


# %% softmax_cross_entropy: one example at a time
def softmax_cross_entropy(Z, y):
    m = len(Z)
    total, G = 0.0, torch.zeros_like(Z)
    for i in range(m):
        z = Z[i] - Z[i].max()
        p = z.exp() / z.exp().sum()
        total -= math.log(p[y[i]])
        p[y[i]] -= 1
        G[i] = p / m
    return total / m, G


# %% softmax_cross_entropy: logsumexp and scatter
def softmax_cross_entropy(Z, y):
    m = Z.size(0)
    lse = torch.logsumexp(Z, dim=1)
    loss = (lse - Z[torch.arange(m), y]).sum() / m
    G = torch.exp(Z - lse.unsqueeze(1)) / m
    return loss, G.scatter_add(1, y.unsqueeze(1), torch.full((m, 1), -1 / m, dtype=Z.dtype))


# %% linear_backward: einsum
def linear_backward(G, Z, W, b):
    return torch.einsum("mk,kn->mn", G, W), torch.einsum("mk,mn->kn", G, Z), torch.einsum("mk->k", G)


# %% linear_backward: numpy
def linear_backward(G, Z, W, b):
    G, Z, W = np.asarray(G), np.asarray(Z), np.asarray(W)
    return np.dot(G, W), np.dot(G.T, Z), np.sum(G, axis=0)


# %% linear_backward: float32
def linear_backward(G, Z, W, b):
    G, Z, W = G.float(), Z.float(), W.float()
    return [G @ W, (Z.T @ G).T, G.sum(0)]


# %% linear_backward: example by example
def linear_backward(G, Z, W, b):
    G_Z, G_W, G_b = torch.zeros_like(Z), torch.zeros_like(W), torch.zeros_like(b)
    for i, (g, z) in enumerate(zip(G, Z)):
        G_Z[i] = W.T @ g
        G_W += torch.outer(g, z)
        G_b += g
    return G_Z, G_W, G_b


# %% linear_backward: a class with __call__
class LinearBackward:
    def __call__(self, G, Z, W, b):
        ones = torch.ones(len(G), dtype=G.dtype)
        return torch.mm(G, W), torch.mm(G.t(), Z), ones @ G


linear_backward = LinearBackward()


# %% linear_backward: functools.partial of a general layer
from functools import partial


def layer(G, Z, W, b, f):
    return f(G, W), f(G.T, Z), G.sum(dim=0, keepdim=True).squeeze(0)


linear_backward = partial(layer, f=torch.matmul)


# %% backpropagation: recursion from the last layer back
def backpropagation(x, y, Ws, bs, fs, loss):
    def go(z, i):
        if i == len(Ws):
            L, g = loss(z, y)
            return L, g, [], []
        z_next, dz = fs[i](Ws[i] @ z + bs[i])
        L, g, g_Ws, g_bs = go(z_next, i + 1)
        delta = g * dz
        return L, Ws[i].T @ delta, [torch.outer(delta, z), *g_Ws], [delta, *g_bs]

    L, _, g_Ws, g_bs = go(x, 0)
    return L, g_Ws, g_bs


# %% backpropagation: appended, then reversed; tuples
def backpropagation(x, y, Ws, bs, fs, loss):
    cache, z = [], x
    for W, b, f in zip(Ws, bs, fs):
        z_next, dz = f(z @ W.T + b)
        cache.append((z, W, dz))
        z = z_next
    L, g = loss(z, y)
    g_Ws, g_bs = [], []
    for z, W, dz in reversed(cache):
        g = g * dz
        g_bs.append(g)
        g_Ws.append(g[:, None] * z[None, :])
        g = g @ W
    return L, tuple(g_Ws[::-1]), tuple(g_bs[::-1])


# %% backpropagation: numpy arrays for the gradients
def backpropagation(x, y, Ws, bs, fs, loss):
    zs, slopes = [x.numpy()], []
    for W, b, f in zip(Ws, bs, fs):
        z, dz = f(torch.from_numpy(W.numpy() @ zs[-1]) + b)
        zs.append(z.numpy())
        slopes.append(dz.numpy())
    L, g = loss(torch.from_numpy(zs[-1]), y)
    g = g.numpy()
    g_Ws, g_bs = [None] * len(Ws), [None] * len(Ws)
    for i in range(len(Ws) - 1, -1, -1):
        g_bs[i] = g * slopes[i]
        g_Ws[i] = np.outer(g_bs[i], zs[i])
        g = Ws[i].numpy().T @ g_bs[i]
    return float(L), g_Ws, g_bs


# %% backpropagation: float32
def backpropagation(x, y, Ws, bs, fs, loss):
    Ws, bs = [W.float() for W in Ws], [b.float() for b in bs]
    zs, dzs = [x.float()], []
    for W, b, f in zip(Ws, bs, fs):
        z, dz = f(W @ zs[-1] + b)
        zs.append(z.float())
        dzs.append(dz.float())
    L, g = loss(zs[-1], y.float())
    g = g.float()
    g_Ws, g_bs = [], []
    for i in reversed(range(len(Ws))):
        delta = g * dzs[i]
        g_bs.insert(0, delta)
        g_Ws.insert(0, torch.outer(delta, zs[i]))
        g = Ws[i].T @ delta
    return L, g_Ws, g_bs


# %% backpropagation: einsum, pre-activations kept and f' taken on the way back
def backpropagation(x, y, Ws, bs, fs, loss):
    zs, pre = [x], []
    for i in range(len(Ws)):
        pre.append(torch.einsum("ij,j->i", Ws[i], zs[i]) + bs[i])
        zs.append(fs[i](pre[i])[0])
    L, g = loss(zs[-1], y)
    g_Ws, g_bs = {}, {}
    for i in range(len(Ws))[::-1]:
        g_bs[i] = g * fs[i](pre[i])[1]
        g_Ws[i] = torch.einsum("i,j->ij", g_bs[i], zs[i])
        g = torch.einsum("ij,i->j", Ws[i], g_bs[i])
    return L, [g_Ws[i] for i in range(len(Ws))], [g_bs[i] for i in range(len(bs))]


# %% mlp_backward: recursion over the layers
def mlp_backward(X, y, Ws, bs):
    def go(Z, i):
        A = Z @ Ws[i].T + bs[i]
        if i == len(Ws) - 1:
            loss, G = softmax_cross_entropy(A, y)
            g_Ws, g_bs = [], []
        else:
            Z_next, dZ = relu(A)
            loss, G, g_Ws, g_bs = go(Z_next, i + 1)
            G = G * dZ
        G_Z, G_W, G_b = linear_backward(G, Z, Ws[i], bs[i])
        return loss, G_Z, [G_W, *g_Ws], [G_b, *g_bs]

    loss, _, g_Ws, g_bs = go(X, 0)
    return loss, g_Ws, g_bs


# %% mlp_backward: all in one, no other question's function
def mlp_backward(X, y, Ws, bs):
    m, k = len(X), len(Ws)
    Z = [X]
    for i in range(k):
        A = Z[i] @ Ws[i].T + bs[i]
        Z.append(torch.relu(A) if i < k - 1 else A)
    loss = torch.nn.functional.cross_entropy(Z[k], y)
    G = torch.softmax(Z[k], dim=1)
    G[torch.arange(m), y] -= 1
    G /= m
    g_Ws, g_bs = [None] * k, [None] * k
    for i in range(k - 1, -1, -1):
        g_Ws[i], g_bs[i] = G.T @ Z[i], G.sum(dim=0)
        G = (G @ Ws[i]) * (Z[i] > 0)
    return loss, g_Ws, g_bs


# %% mlp_backward: numpy
def mlp_backward(X, y, Ws, bs):
    Z, y = [X.numpy()], y.numpy()
    Ws, bs = [W.numpy() for W in Ws], [b.numpy() for b in bs]
    for W, b in zip(Ws[:-1], bs[:-1]):
        Z.append(np.maximum(0, Z[-1] @ W.T + b))
    A = Z[-1] @ Ws[-1].T + bs[-1]
    P = np.exp(A - A.max(axis=1, keepdims=True))
    P /= P.sum(axis=1, keepdims=True)
    loss = -np.mean(np.log(P[np.arange(len(y)), y]))
    P[np.arange(len(y)), y] -= 1
    G, g_Ws, g_bs = P / len(y), [], []
    for W, z in zip(Ws[::-1], Z[::-1]):
        g_Ws.append(G.T @ z)
        g_bs.append(G.sum(axis=0))
        G = G @ W * (z > 0)
    return loss, g_Ws[::-1], g_bs[::-1]


# %% mlp_backward: float32
def mlp_backward(X, y, Ws, bs):
    Ws, bs = [W.float() for W in Ws], [b.float() for b in bs]
    Zs, dZs = [X.float()], []
    for W, b in zip(Ws[:-1], bs[:-1]):
        Z, dZ = relu(Zs[-1] @ W.T + b)
        Zs.append(Z)
        dZs.append(dZ)
    loss, G = softmax_cross_entropy(Zs[-1] @ Ws[-1].T + bs[-1], y)
    g_Ws, g_bs = [], []
    for i in reversed(range(len(Ws))):
        G, g_W, g_b = linear_backward(G, Zs[i], Ws[i], bs[i])
        G = G * dZs[i - 1] if i else G
        g_Ws.insert(0, g_W)
        g_bs.insert(0, g_b)
    return loss, g_Ws, g_bs


# %% mlp_backward: example by example, averaged at the end
def mlp_backward(X, y, Ws, bs):
    m = len(X)
    loss = 0.0
    g_Ws, g_bs = [torch.zeros_like(W) for W in Ws], [torch.zeros_like(b) for b in bs]
    for x, label in zip(X, y):
        zs = [x]
        for i, (W, b) in enumerate(zip(Ws, bs)):
            a = W @ zs[-1] + b
            zs.append(torch.clamp(a, min=0) if i < len(Ws) - 1 else a)
        p = torch.softmax(zs.pop(), dim=0)
        loss -= torch.log(p[label]) / m
        p[label] -= 1
        g = p / m
        for i in reversed(range(len(Ws))):
            g_Ws[i] += torch.outer(g, zs[i])
            g_bs[i] += g
            g = (Ws[i].T @ g) * (zs[i] > 0)
    return loss, tuple(g_Ws), tuple(g_bs)


# %% sgd_step: torch.sub with alpha
def sgd_step(w, g, alpha):
    return torch.sub(w, g, alpha=alpha)


# %% sgd_step: numpy
def sgd_step(w, g, alpha):
    return np.asarray(w) - alpha * np.asarray(g)


# %% sgd_step: float32
def sgd_step(w, g, alpha):
    return w.float() - alpha * g.float()


# %% sgd_step: in place on an own copy
def sgd_step(w, g, alpha):
    w = w.clone()
    w -= alpha * g
    return w


# %% sgd_step: a lambda
sgd_step = lambda w, g, alpha: -alpha * g + w


# %% sgd_step: a class with __call__
class Step:
    def __call__(self, w, g, alpha):
        new = torch.empty_like(w)
        for i in range(len(w)):
            new[i] = w[i] - alpha * g[i]
        return new


sgd_step = Step()


# %% momentum_step: in place on own copies
def momentum_step(w, g, v, alpha, beta):
    w, v = w.clone(), v.clone()
    v.mul_(beta).add_(g)
    w.sub_(alpha * v)
    return w, v


# %% momentum_step: numpy
def momentum_step(w, g, v, alpha, beta):
    w, g, v = np.asarray(w), np.asarray(g), np.asarray(v)
    v = beta * v + g
    return w - alpha * v, v


# %% momentum_step: float32
def momentum_step(w, g, v, alpha, beta):
    v = beta * v.float() + g.float()
    return w.float() - alpha * v, v


# %% momentum_step: a list, the sum multiplied out
def momentum_step(w, g, v, alpha, beta):
    return [w - alpha * beta * v - alpha * g, g + beta * v]


# %% momentum_step: by sgd_step
def momentum_step(w, g, v, alpha, beta):
    v = torch.add(g, v, alpha=beta)
    return sgd_step(w, v, alpha), v


# %% adam_step: lerp and addcdiv
def adam_step(w, g, m, v, t, alpha, beta1, beta2, eps):
    m = torch.lerp(g, m, beta1)
    v = torch.lerp(g * g, v, beta2)
    denominator = (v / (1 - beta2**t)).sqrt().add(eps)
    return torch.addcdiv(w, m, denominator, value=-alpha / (1 - beta1**t)), m, v


# %% adam_step: numpy
def adam_step(w, g, m, v, t, alpha, beta1, beta2, eps):
    w, g, m, v = (np.asarray(a) for a in (w, g, m, v))
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * np.square(g)
    m_hat, v_hat = m / (1 - np.power(beta1, t)), v / (1 - np.power(beta2, t))
    return w - alpha * m_hat / (np.sqrt(v_hat) + eps), m, v


# %% adam_step: float32
def adam_step(w, g, m, v, t, alpha, beta1, beta2, eps):
    w, g, m, v = w.float(), g.float(), m.float(), v.float()
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    return w - alpha * (m / (1 - beta1**t)) / ((v / (1 - beta2**t)).sqrt() + eps), m, v


# %% adam_step: in place on own copies
def adam_step(w, g, m, v, t, alpha, beta1, beta2, eps):
    w, m, v = w.clone(), m.clone(), v.clone()
    m *= beta1
    m += (1 - beta1) * g
    v *= beta2
    v += (1 - beta2) * g * g
    w -= alpha * m / (1 - beta1**t) / (torch.sqrt(v / (1 - beta2**t)) + eps)
    return w, m, v


# %% adam_step: one corrected step size, as in section 2 of the paper
def adam_step(w, g, m, v, t, alpha, beta1, beta2, eps):
    m = m + (1 - beta1) * (g - m)
    v = v + (1 - beta2) * (g**2 - v)
    root = math.sqrt(1 - beta2**t)
    alpha_t = alpha * root / (1 - beta1**t)
    return [w - alpha_t * m / (v**0.5 + eps * root), m, v]


# %% dropout: torch.bernoulli
def dropout(Z, p, generator):
    mask = torch.bernoulli(torch.full_like(Z, 1 - p), generator=generator).bool()
    return Z * mask / (1 - p), mask


# %% dropout: random numbers above p, masked_fill
def dropout(Z, p, generator):
    mask = torch.rand(*Z.shape, generator=generator) > p
    return Z.masked_fill(~mask, 0) * (1 / (1 - p)), mask


# %% dropout: kept where the random number is below 1 - p, torch.where
def dropout(Z, p, generator):
    mask = torch.empty_like(Z).uniform_(generator=generator) < 1 - p
    return torch.where(mask, Z / (1 - p), torch.zeros_like(Z)), mask


# %% dropout: numpy arrays
def dropout(Z, p, generator):
    mask = torch.rand(Z.shape, generator=generator).numpy() >= p
    return Z.numpy() * mask / (1 - p), mask


# %% dropout: float32
def dropout(Z, p, generator):
    mask = torch.rand(Z.shape, generator=generator, dtype=torch.float32) >= p
    return Z.float() * mask.float() / (1 - p), mask


# %% dropout: row by row into an own copy
def dropout(Z, p, generator):
    out, mask = Z.clone(), torch.zeros(Z.shape, dtype=torch.bool)
    for i in range(len(Z)):
        mask[i] = torch.rand(Z.shape[1], generator=generator) >= p
    out[~mask] = 0
    out /= 1 - p
    return [out, mask]


# %% dropout_backward: torch.where
def dropout_backward(G, mask, p):
    return torch.where(mask, G / (1 - p), 0.0)


# %% dropout_backward: numpy
def dropout_backward(G, mask, p):
    return np.asarray(G) * np.asarray(mask) / (1 - p)


# %% dropout_backward: float32
def dropout_backward(G, mask, p):
    return G.float() * mask.float() / (1 - p)


# %% dropout_backward: zeroes in an own copy
def dropout_backward(G, mask, p):
    G = G.clone()
    G[~mask] = 0
    return G / (1 - p)


# %% dropout_backward: Python loops, a nested list
def dropout_backward(G, mask, p):
    return [[g / (1 - p) if keep else 0.0 for g, keep in zip(*rows)] for rows in zip(G.tolist(), mask.tolist())]


# %% dropout_backward: a lambda
dropout_backward = lambda G, mask, p: (1 - p) ** -1 * mask * G


# %% autoencoder_backward: two linear layers
def autoencoder_backward(X, W, b, c):
    H, dH = sigmoid(X @ W.T + b)
    X_hat, dX_hat = sigmoid(H @ W + c)
    loss = torch.sum((X_hat - X) ** 2) / len(X)
    G_H, G_Wt, g_c = linear_backward(2 / len(X) * (X_hat - X) * dX_hat, H, W.T, c)
    _, G_W, g_b = linear_backward(G_H * dH, X, W, b)
    return loss, G_W + G_Wt.T, g_b, g_c


# %% autoencoder_backward: numpy
def autoencoder_backward(X, W, b, c):
    X, W, b, c = X.numpy(), W.numpy(), b.numpy(), c.numpy()
    m = X.shape[0]
    H = 1 / (1 + np.exp(-(X @ W.T + b)))
    R = 1 / (1 + np.exp(-(H @ W + c)))
    loss = np.sum((R - X) ** 2) / m
    D = 2 / m * (R - X) * R * (1 - R)
    E = (D @ W.T) * H * (1 - H)
    g_W = E.T @ X
    g_W += H.T @ D
    return loss, g_W, E.sum(axis=0), D.sum(axis=0)


# %% autoencoder_backward: float32
def autoencoder_backward(X, W, b, c):
    X, W, b, c = X.float(), W.float(), b.float(), c.float()
    H = torch.sigmoid(X @ W.T + b)
    X_hat = torch.sigmoid(H @ W + c)
    D = 2 * (X_hat - X) * X_hat * (1 - X_hat) / len(X)
    E = D @ W.T * H * (1 - H)
    return ((X_hat - X) ** 2).sum(1).mean(), H.T @ D + E.T @ X, E.sum(0), D.sum(0)


# %% autoencoder_backward: einsum
def autoencoder_backward(X, W, b, c):
    H, dH = sigmoid(torch.einsum("mn,kn->mk", X, W) + b)
    R, dR = sigmoid(torch.einsum("mk,kn->mn", H, W) + c)
    loss = torch.einsum("mn,mn->", R - X, R - X) / X.shape[0]
    D = (R - X) * dR * (2 / X.shape[0])
    E = torch.einsum("mn,kn->mk", D, W) * dH
    return [loss, torch.einsum("mk,mn->kn", H, D) + torch.einsum("mk,mn->kn", E, X), E.sum(0), D.sum(0)]


# %% autoencoder_backward: example by example
def autoencoder_backward(X, W, b, c):
    loss, g_W, g_b, g_c = 0, torch.zeros_like(W), torch.zeros_like(b), torch.zeros_like(c)
    for x in X:
        h = torch.sigmoid(W @ x + b)
        r = torch.sigmoid(W.T @ h + c)
        loss = loss + torch.nn.functional.mse_loss(r, x, reduction="sum") / len(X)
        d = 2 * (r - x) * r * (1 - r) / len(X)
        e = (W @ d) * h * (1 - h)
        g_W = g_W + torch.outer(h, d) + torch.outer(e, x)
        g_b = g_b + e
        g_c = g_c + d
    return loss, g_W, g_b, g_c


# %% train_mlp: momentum
def train_mlp(X, y, seed):
    generator = torch.Generator().manual_seed(seed)
    n = [64, 48, 10]
    Ws = [torch.randn(n[i + 1], n[i], generator=generator) * (2 / n[i]) ** 0.5 for i in range(2)]
    bs = [torch.zeros(n[i + 1]) for i in range(2)]
    vs = [torch.zeros_like(w) for w in Ws + bs]
    for _ in range(15):
        for batch in torch.randperm(len(X), generator=generator).split(32):
            _, g_Ws, g_bs = mlp_backward(X[batch], y[batch], Ws, bs)
            for i, (w, g) in enumerate(zip(Ws + bs, g_Ws + g_bs)):
                w[:], vs[i] = momentum_step(w, g, vs[i], 0.02, 0.9)
    return Ws, bs


# %% train_mlp: Adam
def train_mlp(X, y, seed):
    torch.manual_seed(seed)
    parameters = [torch.randn(64, 64) * 0.15, torch.randn(10, 64) * 0.15, torch.zeros(64), torch.zeros(10)]
    ms, vs = [torch.zeros_like(w) for w in parameters], [torch.zeros_like(w) for w in parameters]
    t = 0
    for _ in range(15):
        for batch in torch.randperm(len(X)).split(32):
            t += 1
            _, g_Ws, g_bs = mlp_backward(X[batch], y[batch], parameters[:2], parameters[2:])
            for i, g in enumerate([*g_Ws, *g_bs]):
                parameters[i], ms[i], vs[i] = adam_step(parameters[i], g, ms[i], vs[i], t, 0.003, 0.9, 0.999, 1e-8)
    return parameters[:2], parameters[2:]


# %% train_mlp: numpy
def train_mlp(X, y, seed):
    X, Y = X.numpy(), np.eye(10)[y.numpy()]
    rng = np.random.default_rng(seed)
    W1, b1 = rng.normal(0, np.sqrt(2 / 64), (64, 64)), np.zeros(64)
    W2, b2 = rng.normal(0, np.sqrt(2 / 64), (10, 64)), np.zeros(10)
    for _ in range(25):
        order = rng.permutation(len(X))
        for start in range(0, len(X), 32):
            batch = order[start : start + 32]
            x, t = X[batch], Y[batch]
            h = np.maximum(0, x @ W1.T + b1)
            a = h @ W2.T + b2
            e = np.exp(a - a.max(axis=1, keepdims=True))
            d2 = (e / e.sum(axis=1, keepdims=True) - t) / len(x)
            d1 = d2 @ W2 * (h > 0)
            W2 -= 0.1 * d2.T @ h
            b2 -= 0.1 * d2.sum(axis=0)
            W1 -= 0.1 * d1.T @ x
            b1 -= 0.1 * d1.sum(axis=0)
    return [W1, W2], [b1, b2]


# %% train_mlp: float32
def train_mlp(X, y, seed):
    generator = torch.Generator().manual_seed(seed)
    X = X.float()
    W1 = torch.randn(128, 64, generator=generator, dtype=torch.float32) / 8
    W2 = torch.randn(10, 128, generator=generator, dtype=torch.float32) / 11
    b1, b2 = torch.zeros(128, dtype=torch.float32), torch.zeros(10, dtype=torch.float32)
    for _ in range(20):
        for batch in torch.randperm(len(X), generator=generator).split(32):
            _, (g_W1, g_W2), (g_b1, g_b2) = mlp_backward(X[batch], y[batch], [W1, W2], [b1, b2])
            W1, W2 = sgd_step(W1, g_W1, 0.1), sgd_step(W2, g_W2, 0.1)
            b1, b2 = sgd_step(b1, g_b1, 0.1), sgd_step(b2, g_b2, 0.1)
    return (W1, W2), (b1, b2)


# %% train_mlp: a step size that falls, batches drawn with replacement
def train_mlp(X, y, seed):
    generator = torch.Generator().manual_seed(seed)
    Ws = [torch.empty(k, n).uniform_(-1, 1, generator=generator) * math.sqrt(6 / n) for k, n in [(64, 64), (10, 64)]]
    bs = [torch.zeros(64), torch.zeros(10)]
    for step in range(1200):
        batch = torch.randint(len(X), (32,), generator=generator)
        _, g_Ws, g_bs = mlp_backward(X[batch], y[batch], Ws, bs)
        alpha = 0.2 / (1 + step / 500)
        for w, g in zip(Ws + bs, g_Ws + g_bs):
            w -= alpha * g
    return Ws, bs


# %% tape: closures, in the manner of micrograd
class Value:
    def __init__(self, data, parents=()):
        self.data = data
        self.grad = torch.zeros_like(data)
        self.parents = parents
        self.backward = lambda: None

    def __add__(self, other):
        out = Value(self.data + other.data, (self, other))

        def backward():
            self.grad += out.grad
            other.grad += out.grad

        out.backward = backward
        return out

    def __mul__(self, other):
        out = Value(self.data * other.data, (self, other))

        def backward():
            self.grad += (other.data * out.grad).sum_to_size(self.data.shape)
            other.grad += (self.data * out.grad).sum_to_size(other.data.shape)

        out.backward = backward
        return out

    def __matmul__(self, other):
        out = Value(self.data @ other.data, (self, other))

        def backward():
            self.grad += out.grad @ other.data.T
            other.grad += self.data.T @ out.grad

        out.backward = backward
        return out

    def tanh(self):
        out = Value(torch.tanh(self.data), (self,))

        def backward():
            self.grad += (1 - out.data**2) * out.grad

        out.backward = backward
        return out

    def sum(self):
        out = Value(self.data.sum(), (self,))

        def backward():
            self.grad += out.grad

        out.backward = backward
        return out


def tape(f, xs):
    leaves = [Value(x) for x in xs]
    out = f(*leaves)
    topo, visited = [], set()

    def build(v):
        if v not in visited:
            visited.add(v)
            for p in v.parents:
                build(p)
            topo.append(v)

    build(out)
    out.grad = torch.ones_like(out.data)
    for v in reversed(topo):
        v.backward()
    return [v.grad for v in leaves]


# %% tape: a Wengert list, played backwards
class Node:
    def __init__(self, value, record, pulls=()):
        self.value, self.record, self.pulls, self.grad = value, record, pulls, 0.0
        record.append(self)

    def new(self, value, *pulls):
        return Node(value, self.record, pulls)

    def __add__(self, other):
        return self.new(self.value + other.value, (self, lambda g: g), (other, lambda g: g))

    def __mul__(self, other):
        a, b = self.value, other.value
        return self.new(a * b, (self, lambda g: g * b), (other, lambda g: g * a))

    def __matmul__(self, other):
        a, b = self.value, other.value
        return self.new(a @ b, (self, lambda g: g @ b.T), (other, lambda g: a.T @ g))

    def tanh(self):
        t = torch.tanh(self.value)
        return self.new(t, (self, lambda g: g * (1 - t * t)))

    def sum(self):
        shape = self.value.shape
        return self.new(self.value.sum(), (self, lambda g: g * torch.ones(shape)))


def tape(f, xs):
    record = []
    leaves = [Node(x, record) for x in xs]
    f(*leaves).grad = 1.0
    for node in reversed(record):
        for parent, pull in node.pulls:
            parent.grad = parent.grad + pull(node.grad)
    return tuple(leaf.grad for leaf in leaves)


# %% tape: path by path, each path adds its share
def tape(f, xs):
    variables = [Variable(x) for x in xs]

    def send(v, g):
        v.grad = v.grad + g
        for parent, pull in v.parents:
            send(parent, pull(g))

    send(f(*variables), torch.tensor(1.0))
    return [v.grad for v in variables]


# %% tape: numpy inside
class Array:
    def __init__(self, value, *parents):
        self.value, self.parents = np.asarray(value), parents
        self.grad = np.zeros_like(self.value)

    def __add__(self, other):
        return Array(self.value + other.value, (self, lambda g: g), (other, lambda g: g))

    def __mul__(self, other):
        return Array(self.value * other.value, (self, lambda g: g * other.value), (other, lambda g: g * self.value))

    def __matmul__(self, other):
        return Array(self.value @ other.value, (self, lambda g: g @ other.value.T), (other, lambda g: self.value.T @ g))

    def tanh(self):
        t = np.tanh(self.value)
        return Array(t, (self, lambda g: g * (1 - t**2)))

    def sum(self):
        return Array(self.value.sum(), (self, lambda g: np.full(self.value.shape, g)))


def tape(f, xs):
    leaves = [Array(x.numpy()) for x in xs]
    out = f(*leaves)
    uses = {}

    def count(v):
        uses[v] = uses.get(v, 0) + 1
        if uses[v] == 1:
            for parent, _ in v.parents:
                count(parent)

    count(out)
    out.grad = np.ones(())
    ready = [out]
    while ready:
        v = ready.pop()
        for parent, pull in v.parents:
            parent.grad = parent.grad + pull(v.grad)
            uses[parent] -= 1
            if uses[parent] == 0:
                ready.append(parent)
    return [leaf.grad for leaf in leaves]


# %% tape: float32
def tape(f, xs):
    variables = [Variable(x.float()) for x in xs]
    order, stack, seen = [], [(f(*variables), False)], set()
    while stack:
        v, done = stack.pop()
        if done:
            order.append(v)
        elif id(v) not in seen:
            seen.add(id(v))
            stack.append((v, True))
            stack.extend((parent, False) for parent, _ in v.parents)
    order[-1].grad = torch.tensor(1.0)
    while order:
        v = order.pop()
        for parent, pull in v.parents:
            parent.grad = parent.grad + pull(v.grad)
    return [v.grad for v in variables]


# %% products: a sum and a length
def products(Ws):
    return sum(range(1, len(Ws) + 1)), len(Ws)


# %% products: counted in loops
def products(Ws):
    without = cached = 0
    for i in range(len(Ws)):
        cached += 1
        for _ in range(i, len(Ws)):
            without += 1
    return without, cached


# %% products: floats
def products(Ws):
    k = len(Ws)
    return k * (k + 1) / 2, float(k)


# %% products: tensors
def products(Ws):
    return torch.arange(1, len(Ws) + 1).sum(), torch.tensor(len(Ws))


# %% products: numpy
def products(Ws):
    k = np.array(len(Ws))
    return np.cumsum(np.arange(k + 1))[-1], k


# %% products: by the binomial coefficient
def products(Ws):
    return [math.comb(len(Ws) + 1, 2), len(Ws)]
