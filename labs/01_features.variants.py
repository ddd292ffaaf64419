"""Right answers of the lab `features` in the many ways that people write them: each must earn all points.

A cell's title is `question: how it is written`; it runs after all solutions of the lab, in their namespace.
"""
# ruff: noqa: F811, F821


# %% polynomial_features: torch.vander
def polynomial_features(x, degree):
    return torch.vander(x, degree + 1, increasing=True)


# %% polynomial_features: column by column
def polynomial_features(x, degree):
    Phi = torch.ones(len(x), degree + 1)
    for j in range(1, degree + 1):
        Phi[:, j] = Phi[:, j - 1] * x
    return Phi


# %% polynomial_features: a nested list
def polynomial_features(x, degree):
    return [[float(v) ** j for j in range(degree + 1)] for v in x]


# %% polynomial_features: numpy
def polynomial_features(x, degree):
    return np.polynomial.polynomial.polyvander(x.numpy(), degree)


# %% polynomial_features: cumulative products
def polynomial_features(x, degree):
    ones = torch.ones(len(x), 1)
    return torch.cat([ones, x[:, None].expand(-1, degree)], dim=1).cumprod(dim=1)


# %% polynomial_features: float32
def polynomial_features(x, degree):
    return torch.stack([x.float() ** j for j in range(degree + 1)], dim=-1)


# %% radial_basis_features: cdist
def radial_basis_features(X, centres, sigma):
    return torch.exp(-(torch.cdist(X, centres) ** 2) / (2 * sigma**2))


# %% radial_basis_features: |x|² - 2 xᵀμ + |μ|²
def radial_basis_features(X, centres, sigma):
    squares = (X**2).sum(1, keepdim=True) - 2 * X @ centres.T + (centres**2).sum(1)
    return (-0.5 / sigma**2 * squares).exp()


# %% radial_basis_features: loops and math
def radial_basis_features(X, centres, sigma):
    Phi = torch.zeros(len(X), len(centres))
    for i in range(len(X)):
        for j in range(len(centres)):
            Phi[i, j] = math.exp(-float(sum((a - b) ** 2 for a, b in zip(X[i], centres[j]))) / (2 * sigma**2))
    return Phi


# %% radial_basis_features: a column for each centre, by norms
def radial_basis_features(X, centres, sigma):
    return torch.stack([torch.exp(-(torch.linalg.norm(X - c, dim=1) ** 2) / (2 * sigma**2)) for c in centres], dim=1)


# %% radial_basis_features: numpy
def radial_basis_features(X, centres, sigma):
    X, centres = np.asarray(X), np.asarray(centres)
    return np.exp(-(np.linalg.norm(X[:, None, :] - centres[None], axis=-1) ** 2) / (2.0 * sigma**2))


# %% radial_basis_features: a product over the entries
def radial_basis_features(X, centres, sigma):
    return torch.exp(-0.5 * ((X.unsqueeze(1) - centres.unsqueeze(0)) / sigma) ** 2).prod(dim=2)


# %% random_features: torch.nn.functional.linear
def random_features(X, Omega, b):
    return (2 / Omega.shape[0]) ** 0.5 * torch.nn.functional.linear(X, Omega, b).cos()


# %% random_features: einsum
def random_features(X, Omega, b):
    return torch.cos(torch.einsum("mn,kn->mk", X, Omega) + b) * np.sqrt(2 / len(b))


# %% random_features: an example at a time
def random_features(X, Omega, b):
    return torch.stack([torch.cos(Omega @ x + b) for x in X]) / math.sqrt(len(b) / 2)


# %% random_features: numpy
def random_features(X, Omega, b):
    return np.sqrt(2.0 / b.shape[0]) * np.cos(X.numpy() @ Omega.numpy().T + b.numpy())


# %% random_features: a sine a quarter of a turn on
def random_features(X, Omega, b):
    k = len(b)
    return math.sqrt(2 / k) * torch.sin(X @ Omega.T + b + math.pi / 2)


# %% random_features: two cosines and two sines
def random_features(X, Omega, b):
    A = X @ Omega.T
    return (A.cos() * b.cos() - A.sin() * b.sin()) * math.sqrt(2) / math.sqrt(len(b))


# %% squared_loss_gradient: a mean over rows
def squared_loss_gradient(theta, Phi, y):
    r = Phi @ theta - y
    return 0.5 * (r**2).mean(), (r[:, None] * Phi).mean(0)


# %% squared_loss_gradient: loops
def squared_loss_gradient(theta, Phi, y):
    loss, g = 0.0, torch.zeros_like(theta)
    for phi, target in zip(Phi, y):
        r = (theta * phi).sum() - target
        loss += 0.5 * r**2 / len(y)
        g += r * phi / len(y)
    return loss, g


# %% squared_loss_gradient: the normal equations
def squared_loss_gradient(theta, Phi, y):
    m = len(y)
    A, c = Phi.T @ Phi, Phi.T @ y
    return (theta @ A @ theta - 2 * c @ theta + y @ y) / (2 * m), (A @ theta - c) / m


# %% squared_loss_gradient: numpy, a dict
def squared_loss_gradient(theta, Phi, y):
    theta, Phi, y = (np.asarray(v) for v in (theta, Phi, y))
    r = Phi.dot(theta) - y
    return {"loss": float(np.mean(r**2) / 2), "g": Phi.T.dot(r) / r.size}


# %% squared_loss_gradient: a column vector, flattened
def squared_loss_gradient(theta, Phi, y):
    r = Phi @ theta.view(-1, 1) - y.view(-1, 1)
    return (r.T @ r).item() / (2 * len(y)), (Phi.T @ r / len(y)).squeeze(1)


# %% squared_loss_gradient: torch's mse_loss, halved
def squared_loss_gradient(theta, Phi, y):
    h = Phi @ theta
    return torch.nn.functional.mse_loss(h, y) / 2, (h - y) @ Phi / len(y)


# %% logistic_loss_gradient: softplus
def logistic_loss_gradient(theta, Phi, y):
    a = y * (Phi @ theta)
    return torch.nn.functional.softplus(-a).mean(), ((-y * torch.sigmoid(-a))[:, None] * Phi).mean(0)


# %% logistic_loss_gradient: logsigmoid
def logistic_loss_gradient(theta, Phi, y):
    a = y * (Phi @ theta)
    return -torch.nn.functional.logsigmoid(a).mean(), Phi.T @ (y * (torch.sigmoid(a) - 1)) / len(y)


# %% logistic_loss_gradient: labels 0 and 1 inside
def logistic_loss_gradient(theta, Phi, y):
    h, t = Phi @ theta, (y + 1) / 2
    loss = torch.nn.functional.binary_cross_entropy_with_logits(h, t)
    return loss, Phi.T @ (torch.sigmoid(h) - t) / len(t)


# %% logistic_loss_gradient: from e^{-|a|}
def logistic_loss_gradient(theta, Phi, y):
    a = y * (Phi @ theta)
    e = torch.exp(-a.abs())
    loss = (torch.log1p(e) + (-a).clamp(min=0)).mean()
    s = torch.where(a > 0, e / (1 + e), 1 / (1 + e))
    return loss, -(y * s) @ Phi / len(y)


# %% logistic_loss_gradient: numpy
def logistic_loss_gradient(theta, Phi, y):
    theta, Phi, y = theta.numpy(), Phi.numpy(), y.numpy()
    a = y * (Phi @ theta)
    with np.errstate(over="ignore"):
        s = 1 / (1 + np.exp(a))
    return np.logaddexp(0, -a).mean(), -(Phi * (y * s)[:, None]).mean(axis=0)


# %% logistic_loss_gradient: loops and math
def logistic_loss_gradient(theta, Phi, y):
    loss, g = 0.0, torch.zeros(len(theta))
    for phi, t in zip(Phi, y):
        a = float(t * phi.dot(theta))
        loss += math.log1p(math.exp(-a)) if a > 0 else -a + math.log1p(math.exp(a))
        g -= t * phi * (math.exp(-a) / (1 + math.exp(-a)) if a > 0 else 1 / (1 + math.exp(a)))
    return loss / len(y), g / len(y)


# %% logistic_loss_gradient: tanh
def logistic_loss_gradient(theta, Phi, y):
    h = Phi @ theta
    g = Phi.T @ (torch.tanh(h / 2) - y) / (2 * len(y))
    return torch.logsumexp(torch.stack([torch.zeros_like(h), -y * h]), dim=0).mean(), g


# %% sgd: zip
def sgd(gradient, theta, X, y, alpha, epochs):
    for _ in range(epochs):
        for x_i, y_i in zip(X, y):
            theta = theta - alpha * gradient(theta, x_i, y_i)
    return theta


# %% sgd: a copy, changed in place
def sgd(gradient, theta, X, y, alpha, epochs):
    theta = theta.clone()
    for _ in range(epochs):
        for i, x in enumerate(X):
            theta -= alpha * gradient(theta, x, y[i])
    return theta


# %% sgd: one loop over all steps
def sgd(gradient, theta, X, y, alpha, epochs):
    m, step = len(X), 0
    while step < epochs * m:
        i = step % m
        theta = torch.add(theta, gradient(theta, X[i], y[i]), alpha=-alpha)
        step += 1
    return theta


# %% sgd: recursion
def sgd(gradient, theta, X, y, alpha, epochs):
    if epochs == 0:
        return theta
    for i in range(X.shape[0]):
        theta = theta - alpha * gradient(theta, X[i, :], y[i])
    return sgd(gradient, theta, X, y, alpha, epochs - 1)


# %% sgd: reduce
from functools import reduce


def sgd(gradient, theta, X, y, alpha, epochs):
    visits = list(range(len(y))) * epochs
    return reduce(lambda t, i: t - alpha * gradient(t, X[i], y[i]), visits, theta)


# %% collapse: from its values at 0 and at the unit vectors
def collapse(W_1, b_1, W_2, b_2):
    h = lambda x: W_2 @ (W_1 @ x + b_1) + b_2
    b = h(torch.zeros(W_1.shape[1]))
    return torch.stack([h(e) - b for e in torch.eye(W_1.shape[1])], dim=1), b


# %% collapse: numpy
def collapse(W_1, b_1, W_2, b_2):
    W_1, b_1, W_2, b_2 = (v.numpy() for v in (W_1, b_1, W_2, b_2))
    return W_2 @ W_1, W_2 @ b_1 + b_2


# %% collapse: einsum and mv
def collapse(W_1, b_1, W_2, b_2):
    return torch.einsum("pk,kn->pn", W_2, W_1), torch.addmv(b_2, W_2, b_1)


# %% collapse: one matrix with the constant
def collapse(W_1, b_1, W_2, b_2):
    both = W_2 @ torch.cat([W_1, b_1[:, None]], dim=1)
    return both[:, :-1], both[:, -1] + b_2


# %% collapse: transposed, and back
def collapse(W_1, b_1, W_2, b_2):
    return {"b": b_1 @ W_2.T + b_2, "W": (W_1.T @ W_2.T).T}


# %% mlp_forward: indices
def mlp_forward(X, Ws, bs, fs):
    Zs = [X]
    for i in range(len(Ws)):
        Zs.append(fs[i](torch.matmul(Zs[i], Ws[i].t()) + bs[i]))
    return Zs


# %% mlp_forward: torch.nn.functional.linear
def mlp_forward(X, Ws, bs, fs):
    Z, Zs = X, [X]
    for W, b, f in zip(Ws, bs, fs):
        Z = f(torch.nn.functional.linear(Z, W, b))
        Zs += [Z]
    return tuple(Zs)


# %% mlp_forward: columns
def mlp_forward(X, Ws, bs, fs):
    Zs = [X.T]
    for W, b, f in zip(Ws, bs, fs):
        Zs.append(f(W @ Zs[-1] + b[:, None]))
    return [Z.T for Z in Zs]


# %% mlp_forward: an example at a time
def mlp_forward(X, Ws, bs, fs):
    rows = []
    for z in X:
        zs = [z]
        for W, b, f in zip(Ws, bs, fs):
            zs.append(f(W @ zs[-1] + b))
        rows.append(zs)
    return [torch.stack(layer) for layer in zip(*rows)]


# %% mlp_forward: accumulate
from itertools import accumulate


def mlp_forward(X, Ws, bs, fs):
    return list(accumulate(zip(Ws, bs, fs), lambda Z, layer: layer[2](Z @ layer[0].T + layer[1]), initial=X))


# %% mlp_forward: recursion
def mlp_forward(X, Ws, bs, fs):
    if not Ws:
        return [X]
    return [X, *mlp_forward(fs[0](X @ Ws[0].T + bs[0]), Ws[1:], bs[1:], fs[1:])]


# %% universal: half as many units
def universal(f, eps):
    N = max(1, math.ceil(0.5 / eps))
    x = torch.linspace(0, 1, N + 1)
    s = (f(x[1:]) - f(x[:-1])) * N
    return torch.ones(N, 1), -x[:-1], torch.cat([s[:1], s[1:] - s[:-1]])[None], f(x[:1])


# %% universal: from the right
def universal(f, eps):
    N = math.ceil(1 / eps)
    x = 1 - torch.arange(N + 1) / N
    s = (f(x)[1:] - f(x)[:-1]) * N
    return -torch.ones(N, 1), x[:N], torch.diff(s, prepend=torch.zeros(1)).unsqueeze(0), f(torch.ones(1))


# %% universal: a linear system at the kinks
def universal(f, eps):
    N = math.ceil(1 / eps)
    x = torch.linspace(0, 1, N + 1)
    Phi = torch.relu(x[1:, None] - x[:-1])
    return torch.ones((N, 1)), -x[:-1], torch.linalg.solve(Phi, f(x[1:]) - f(x[0]))[None], f(x[0])[None]


# %% universal: numpy, loops, numbers
def universal(f, eps):
    N = int(np.ceil(1 / eps))
    value = [float(f(torch.tensor(j / N))) for j in range(N + 1)]
    slope = [(value[j + 1] - value[j]) * N for j in range(N)]
    change = [slope[0]] + [slope[j] - slope[j - 1] for j in range(1, N)]
    return np.ones((N, 1)), np.array([-j / N for j in range(N)]), np.array([change]), np.array([value[0]])


# %% universal: another scale of each unit
def universal(f, eps):
    N = math.ceil(1 / eps)
    x = torch.linspace(0, 1, N + 1)
    rise = f(x).diff()
    return torch.full((N, 1), 1.0 * N), -torch.arange(N).double(), rise.diff(prepend=torch.zeros(1))[None], f(x[:1])


# %% universal: least squares on many points, float32
def universal(f, eps):
    N = math.ceil(1 / eps)
    x = torch.linspace(0, 1, 8 * N + 1)
    kinks = torch.arange(N) / N
    Phi = torch.cat([torch.relu(x[:, None] - kinks), torch.ones(len(x), 1)], dim=1)
    c = torch.linalg.lstsq(Phi, f(x)[:, None]).solution[:, 0].float()
    return torch.ones(N, 1).float(), -kinks.float(), c[None, :-1], c[-1:]


# %% parity_deep: |a - b| from two units
def parity_deep(n):
    Ws, bs, R = [], [], torch.eye(n)
    while len(R) > 1:
        a, b = R[0:-1:2], R[1::2]
        odd = R[-1:] if len(R) % 2 else R[:0]
        Ws.append(torch.cat([a - b, b - a, odd]))
        bs.append(torch.zeros(len(Ws[-1])))
        p = len(a)
        R = torch.block_diag(torch.cat([torch.eye(p), torch.eye(p)], 1), torch.eye(len(odd)))
    return [*Ws, R], [*bs, torch.zeros(1)]


# %% parity_deep: three units for a pair
def parity_deep(n):
    Ws, bs, bits = [], [], [{i: 1.0} for i in range(n)]
    width = n
    while len(bits) > 1:
        rows, biases, new = [], [], []
        for a, b in zip(bits[::2], bits[1::2]):
            start = len(rows)
            both = {k: a.get(k, 0) + b.get(k, 0) for k in {*a, *b}}
            rows += [a, b, both]
            biases += [0.0, 0.0, -1.0]
            new.append({start: 1.0, start + 1: 1.0, start + 2: -2.0})
        if len(bits) % 2:
            new.append({len(rows): 1.0})
            rows.append(bits[-1])
            biases.append(0.0)
        W = torch.zeros(len(rows), width)
        for r, row in enumerate(rows):
            for k, v in row.items():
                W[r, k] = v
        Ws.append(W)
        bs.append(torch.tensor(biases))
        bits, width = new, len(rows)
    W = torch.zeros(1, width)
    for k, v in bits[0].items():
        W[0, k] = v
    return [*Ws, W], [*bs, torch.zeros(1)]


# %% parity_deep: a saw, folded: two units in a layer
def parity_deep(n):
    k = math.ceil(math.log2(n))
    Ws, bs, read = [], [], torch.ones(1, n)
    for i in range(k):
        Ws.append(torch.cat([read, read]))
        bs.append(torch.tensor([0.0, -(2.0 ** (k - 1 - i))]))
        read = torch.tensor([[1.0, -2.0]])
    return [*Ws, read], [*bs, torch.zeros(1)]


# %% parity_deep: halves, by recursion, in float32
def parity_deep(n):
    def tree(n, depth):
        if depth == 0:
            return [torch.ones(1, 1)], [torch.zeros(1)]
        half = n // 2
        if half == 0:
            Ws, bs = tree(n, depth - 1)
            return [torch.ones(1, 1), *Ws], [torch.zeros(1), *bs]
        left, right = tree(half, depth - 1), tree(n - half, depth - 1)
        Ws = [torch.block_diag(a, b) for a, b in zip(left[0], right[0])]
        bs = [torch.cat([a, b]) for a, b in zip(left[1], right[1])]
        pair = Ws[-1].sum(0, keepdim=True)
        Ws[-1], bs[-1] = torch.cat([pair, pair]), torch.tensor([0.0, -1.0])
        return [*Ws, torch.tensor([[1.0, -2.0]])], [*bs, torch.zeros(1)]

    Ws, bs = tree(n, (n - 1).bit_length())
    return [W.float() for W in Ws], [b.float() for b in bs]


# %% parity_deep: one hidden layer is enough
def parity_deep(n):
    if n == 1:
        return [torch.ones(1, 1)], [torch.zeros(1)]
    W_1, b_1, W_2, b_2 = parity_shallow(n)
    return [W_1, W_2], [b_1, b_2]


# %% parity_deep: numpy
def parity_deep(n):
    Ws, bs, R = [], [], np.eye(n)
    while R.shape[0] > 1:
        p, odd = divmod(R.shape[0], 2)
        S = R[: 2 * p].reshape(p, 2, -1).sum(1)
        Ws.append(np.vstack([S, S, R[2 * p :]]))
        bs.append(np.concatenate([np.zeros(p), -np.ones(p), np.zeros(odd)]))
        R = np.zeros((p + odd, 2 * p + odd))
        for j in range(p):
            R[j, j], R[j, p + j] = 1, -2
        if odd:
            R[-1, -1] = 1
    return [*Ws, R], [*bs, np.zeros(1)]


# %% parity_shallow: a list for W_2
def parity_shallow(n):
    W_2 = torch.tensor([[1.0] + [-2.0 if j % 2 else 2.0 for j in range(1, n)]])
    return torch.ones(n, n), -torch.arange(float(n)), W_2, torch.zeros(1)


# %% parity_shallow: a linear system for the values at 1, …, n
def parity_shallow(n):
    s = torch.arange(n + 1.0)
    Phi = torch.relu(s[1:, None] - s[:-1])
    return torch.ones(n, n), -s[:-1], torch.linalg.solve(Phi, s[1:] % 2)[None], torch.zeros(1)


# %% parity_shallow: counting zeros
def parity_shallow(n):
    zeros = torch.arange(n)
    W_2 = torch.where(zeros % 2 == 0, -2.0, 2.0) * (-1.0) ** (n + 1)
    W_2[0] /= 2
    return -torch.ones(n, n), n - zeros.double(), W_2[None], torch.tensor([n % 2.0])


# %% parity_shallow: numpy, other scales
def parity_shallow(n):
    change = np.array([1.0] + [2.0 * (-1) ** j for j in range(1, n)])
    return 4 * np.ones((n, n)), -4.0 * np.arange(n), change[None] / 4, np.zeros(1)


# %% parity_shallow: kinks between the numbers, a b_2
def parity_shallow(n):
    W_2 = 4.0 * (-1.0) ** torch.arange(n)
    b_1 = -(torch.arange(n) + 0.25)
    W_1, b_2 = torch.ones(n, n), torch.zeros(1)
    h = lambda s: (W_2 * torch.relu(s + b_1)).sum()
    values = torch.tensor([h(torch.tensor(float(s))) for s in range(n + 1)])
    Phi = torch.relu(torch.arange(1.0, n + 1)[:, None] + b_1)
    W_2 = torch.linalg.solve(Phi, torch.arange(1.0, n + 1) % 2 - values[0])
    return W_1, b_1, W_2[None], b_2 + values[0]
