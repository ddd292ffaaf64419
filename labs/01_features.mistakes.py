"""Every listed mistake of the lab `features`, as the code that a student would hand in.

A cell's title is `question: sentence`; it runs after all solutions of the lab, in their namespace.
"""
# ruff: noqa: F811, F821


# %% polynomial_features: left out the constant feature
def polynomial_features(x, degree):
    return torch.stack([x**j for j in range(1, degree + 1)], dim=1) if degree else torch.zeros(len(x), 0)


# %% polynomial_features: stopped one power short
def polynomial_features(x, degree):
    Phi = torch.zeros(len(x), degree)
    for j in range(degree):
        Phi[:, j] = x**j
    return Phi


# %% polynomial_features: put the highest power first
def polynomial_features(x, degree):
    return torch.stack([x**j for j in range(degree, -1, -1)], dim=1)


# %% polynomial_features: multiplied x by j instead of raising it to the power j
def polynomial_features(x, degree):
    return torch.stack([x * j for j in range(degree + 1)], dim=1)


# %% polynomial_features: returned a row for each power, not for each example
def polynomial_features(x, degree):
    return torch.stack([x**j for j in range(degree + 1)])


# %% radial_basis_features: took the distance, not its square
def radial_basis_features(X, centres, sigma):
    return torch.exp(-torch.cdist(X, centres) / (2 * sigma**2))


# %% radial_basis_features: left out the 2 beside σ²
def radial_basis_features(X, centres, sigma):
    return torch.exp(-(((X[:, None] - centres) / sigma) ** 2).sum(2))


# %% radial_basis_features: divided by 2σ instead of 2σ²
def radial_basis_features(X, centres, sigma):
    return torch.exp(-((X[:, None] - centres) ** 2).sum(2) / (2 * sigma))


# %% radial_basis_features: multiplied by σ instead of dividing by 2σ²
def radial_basis_features(X, centres, sigma):
    return torch.exp(-sigma * ((X[:, None] - centres) ** 2).sum(2))


# %% radial_basis_features: left out the minus sign
def radial_basis_features(X, centres, sigma):
    return torch.exp(((X[:, None] - centres) ** 2).sum(2) / (2 * sigma**2))


# %% radial_basis_features: averaged over the entries of x instead of summing
def radial_basis_features(X, centres, sigma):
    return torch.exp(-((X[:, None] - centres) ** 2).mean(2) / (2 * sigma**2))


# %% radial_basis_features: summed the differences before squaring them
def radial_basis_features(X, centres, sigma):
    return torch.exp(-((X[:, None] - centres).sum(2) ** 2) / (2 * sigma**2))


# %% radial_basis_features: put the constant of a normal density before it
def radial_basis_features(X, centres, sigma):
    n = X.shape[1]
    constant = 1 / math.sqrt((2 * math.pi * sigma**2) ** n)
    return constant * torch.exp(-((X[:, None] - centres) ** 2).sum(2) / (2 * sigma**2))


# %% random_features: left out √(2/k)
def random_features(X, Omega, b):
    return torch.cos(X @ Omega.T + b)


# %% random_features: took 2/k without its root
def random_features(X, Omega, b):
    return 2 / len(b) * torch.cos(X @ Omega.T + b)


# %% random_features: took √(1/k), without the 2
def random_features(X, Omega, b):
    return torch.cos(X @ Omega.T + b) / math.sqrt(len(b))


# %% random_features: divided by the number of examples, not of features
def random_features(X, Omega, b):
    return math.sqrt(2 / len(X)) * torch.cos(X @ Omega.T + b)


# %% random_features: took the sine
def random_features(X, Omega, b):
    return math.sqrt(2 / len(b)) * torch.sin(X @ Omega.T + b)


# %% random_features: left out b
def random_features(X, Omega, b):
    return math.sqrt(2 / len(Omega)) * torch.cos(X @ Omega.T)


# %% random_features: added b outside the cosine
def random_features(X, Omega, b):
    return math.sqrt(2 / len(b)) * (torch.cos(X @ Omega.T) + b)


# %% squared_loss_gradient: left out the ½
def squared_loss_gradient(theta, Phi, y):
    r = Phi @ theta - y
    return (r**2).mean(), 2 * Phi.T @ r / len(y)


# %% squared_loss_gradient: left out the ½ of the loss
def squared_loss_gradient(theta, Phi, y):
    r = Phi @ theta - y
    return (r**2).mean(), Phi.T @ r / len(y)


# %% squared_loss_gradient: kept the 2 of the square's derivative, which the ½ takes away
def squared_loss_gradient(theta, Phi, y):
    r = Phi @ theta - y
    return (r**2).mean() / 2, 2 * Phi.T @ r / len(y)


# %% squared_loss_gradient: summed the loss over the batch instead of averaging it
def squared_loss_gradient(theta, Phi, y):
    r = Phi @ theta - y
    return (r**2).sum() / 2, Phi.T @ r


# %% squared_loss_gradient: never divided the gradient by m
def squared_loss_gradient(theta, Phi, y):
    r = Phi @ theta - y
    return (r**2).mean() / 2, Phi.T @ r


# %% squared_loss_gradient: took y - θᵀφ(x) for the residual in the gradient
def squared_loss_gradient(theta, Phi, y):
    r = y - Phi @ theta
    return (r**2).mean() / 2, Phi.T @ r / len(y)


# %% squared_loss_gradient: returned a gradient for each example
def squared_loss_gradient(theta, Phi, y):
    r = Phi @ theta - y
    return (r**2).mean() / 2, r[:, None] * Phi


# %% squared_loss_gradient: left φ(x) out of the gradient
def squared_loss_gradient(theta, Phi, y):
    r = Phi @ theta - y
    return (r**2).mean() / 2, r.mean()


# %% logistic_loss_gradient: took the labels for 0 and 1: σ(θᵀφ) - y
def logistic_loss_gradient(theta, Phi, y):
    h = Phi @ theta
    loss = torch.logaddexp(-y * h, torch.zeros_like(y)).mean()
    return loss, Phi.T @ (torch.sigmoid(h) - y) / len(y)


# %% logistic_loss_gradient: left y out of the gradient
def logistic_loss_gradient(theta, Phi, y):
    a = y * (Phi @ theta)
    loss = torch.logaddexp(-a, torch.zeros_like(a)).mean()
    return loss, -Phi.T @ torch.sigmoid(-a) / len(y)


# %% logistic_loss_gradient: left the minus sign out of the gradient
def logistic_loss_gradient(theta, Phi, y):
    a = y * (Phi @ theta)
    loss = torch.logaddexp(-a, torch.zeros_like(a)).mean()
    return loss, Phi.T @ (y * torch.sigmoid(-a)) / len(y)


# %% logistic_loss_gradient: left the minus sign out of the exponent
def logistic_loss_gradient(theta, Phi, y):
    a = y * (Phi @ theta)
    loss = torch.logaddexp(a, torch.zeros_like(a)).mean()
    return loss, Phi.T @ (y * torch.sigmoid(a)) / len(y)


# %% logistic_loss_gradient: took σ(y θᵀφ) for σ(-y θᵀφ) in the gradient
def logistic_loss_gradient(theta, Phi, y):
    a = y * (Phi @ theta)
    loss = torch.logaddexp(-a, torch.zeros_like(a)).mean()
    return loss, -Phi.T @ (y * torch.sigmoid(a)) / len(y)


# %% logistic_loss_gradient: summed the loss over the batch instead of averaging it
def logistic_loss_gradient(theta, Phi, y):
    a = y * (Phi @ theta)
    loss = torch.logaddexp(-a, torch.zeros_like(a)).sum()
    return loss, -Phi.T @ (y * torch.sigmoid(-a))


# %% logistic_loss_gradient: never divided the gradient by m
def logistic_loss_gradient(theta, Phi, y):
    a = y * (Phi @ theta)
    loss = torch.logaddexp(-a, torch.zeros_like(a)).mean()
    return loss, -Phi.T @ (y * torch.sigmoid(-a))


# %% logistic_loss_gradient: took the hinge loss max(0, 1 - y θᵀφ)
def logistic_loss_gradient(theta, Phi, y):
    a = y * (Phi @ theta)
    return (1 - a).clamp(min=0).mean(), -Phi.T @ (y * (a < 1)) / len(y)


# %% logistic_loss_gradient: let e^{-y θᵀφ} overflow, in the loss and in the gradient
def logistic_loss_gradient(theta, Phi, y):
    e = torch.exp(-y * (Phi @ theta))
    return torch.log(1 + e).mean(), -Phi.T @ (y * e / (1 + e)) / len(y)


# %% logistic_loss_gradient: let e^{-y θᵀφ} overflow in the loss
def logistic_loss_gradient(theta, Phi, y):
    a = y * (Phi @ theta)
    return torch.log(1 + torch.exp(-a)).mean(), -Phi.T @ (y / (1 + torch.exp(a))) / len(y)


# %% sgd: passed over the examples only once
def sgd(gradient, theta, X, y, alpha, epochs):
    for i in range(len(X)):
        theta = theta - alpha * gradient(theta, X[i], y[i])
    return theta


# %% sgd: went up the gradient
def sgd(gradient, theta, X, y, alpha, epochs):
    for _ in range(epochs):
        for x_i, y_i in zip(X, y):
            theta = theta + alpha * gradient(theta, x_i, y_i)
    return theta


# %% sgd: left out alpha
def sgd(gradient, theta, X, y, alpha, epochs):
    for _ in range(epochs):
        for x_i, y_i in zip(X, y):
            theta = theta - gradient(theta, x_i, y_i)
    return theta


# %% sgd: took all gradients of a pass at the θ that it began with
def sgd(gradient, theta, X, y, alpha, epochs):
    for _ in range(epochs):
        g = torch.zeros_like(theta)
        for x_i, y_i in zip(X, y):
            g += gradient(theta, x_i, y_i)
        theta = theta - alpha * g
    return theta


# %% sgd: took one step a pass, with the mean gradient
def sgd(gradient, theta, X, y, alpha, epochs):
    for _ in range(epochs):
        gs = [gradient(theta, x_i, y_i) for x_i, y_i in zip(X, y)]
        theta = theta - alpha * torch.stack(gs).mean(0)
    return theta


# %% sgd: took every gradient at the first θ
def sgd(gradient, theta, X, y, alpha, epochs):
    new = theta.clone()
    for _ in range(epochs):
        for x_i, y_i in zip(X, y):
            new -= alpha * gradient(theta, x_i, y_i)
    return new


# %% sgd: left out the last example
def sgd(gradient, theta, X, y, alpha, epochs):
    for _ in range(epochs):
        for i in range(len(X) - 1):
            theta = theta - alpha * gradient(theta, X[i], y[i])
    return theta


# %% sgd: visited the examples in the opposite order
def sgd(gradient, theta, X, y, alpha, epochs):
    for _ in range(epochs):
        for i in reversed(range(len(X))):
            theta = theta - alpha * gradient(theta, X[i], y[i])
    return theta


# %% sgd: took all of an example's steps before going on to the next
def sgd(gradient, theta, X, y, alpha, epochs):
    for i in range(len(X)):
        for _ in range(epochs):
            theta = theta - alpha * gradient(theta, X[i], y[i])
    return theta


# %% sgd: divided each step by m
def sgd(gradient, theta, X, y, alpha, epochs):
    for _ in range(epochs):
        for i in range(len(X)):
            theta = theta - alpha / len(X) * gradient(theta, X[i], y[i])
    return theta


# %% collapse: left out b_1
def collapse(W_1, b_1, W_2, b_2):
    return W_2 @ W_1, b_2


# %% collapse: left out b_2
def collapse(W_1, b_1, W_2, b_2):
    return W_2 @ W_1, W_2 @ b_1


# %% collapse: multiplied W_1ᵀ with W_2ᵀ: W comes out transposed
def collapse(W_1, b_1, W_2, b_2):
    return W_1.T @ W_2.T, W_2 @ b_1 + b_2


# %% mlp_forward: left X out of the list: it is Z_1
def mlp_forward(X, Ws, bs, fs):
    Zs, Z = [], X
    for W, b, f in zip(Ws, bs, fs):
        Z = f(Z @ W.T + b)
        Zs.append(Z)
    return Zs


# %% mlp_forward: left h(X) out of the list: it is Z_k
def mlp_forward(X, Ws, bs, fs):
    Zs, Z = [], X
    for W, b, f in zip(Ws, bs, fs):
        Zs.append(Z)
        Z = f(Z @ W.T + b)
    return Zs


# %% mlp_forward: returned only the last Z
def mlp_forward(X, Ws, bs, fs):
    Z = X
    for W, b, f in zip(Ws, bs, fs):
        Z = f(Z @ W.T + b)
    return Z


# %% mlp_forward: kept W_i z_i + b_i in the list, not f_i of it
def mlp_forward(X, Ws, bs, fs):
    Zs, Z = [X], X
    for W, b, f in zip(Ws, bs, fs):
        A = Z @ W.T + b
        Zs.append(A)
        Z = f(A)
    return Zs


# %% mlp_forward: left out every f_i
def mlp_forward(X, Ws, bs, fs):
    Zs = [X]
    for W, b in zip(Ws, bs):
        Zs.append(Zs[-1] @ W.T + b)
    return Zs


# %% mlp_forward: left out the last f_i
def mlp_forward(X, Ws, bs, fs):
    Zs = [X]
    for W, b, f in zip(Ws[:-1], bs[:-1], fs[:-1]):
        Zs.append(f(Zs[-1] @ W.T + b))
    return [*Zs, Zs[-1] @ Ws[-1].T + bs[-1]]


# %% mlp_forward: took f_1 in every layer
def mlp_forward(X, Ws, bs, fs):
    Zs = [X]
    for W, b in zip(Ws, bs):
        Zs.append(fs[0](Zs[-1] @ W.T + b))
    return Zs


# %% mlp_forward: left out the b_i
def mlp_forward(X, Ws, bs, fs):
    Zs = [X]
    for W, f in zip(Ws, fs):
        Zs.append(f(Zs[-1] @ W.T))
    return Zs


# %% mlp_forward: put the last layer first
def mlp_forward(X, Ws, bs, fs):
    Zs = [X]
    for W, b, f in zip(Ws, bs, fs):
        Zs.insert(0, f(Zs[0] @ W.T + b))
    return Zs


# %% universal: left f(0) out of b_2
def universal(f, eps):
    N = math.ceil(1 / eps)
    x = torch.linspace(0, 1, N + 1)
    slopes = (f(x[1:]) - f(x[:-1])) * N
    W_2 = slopes.clone()
    W_2[1:] -= slopes[:-1]
    return torch.ones(N, 1), -x[:-1], W_2[None], torch.zeros(1)


# %% universal: took the slopes as the weights, not their changes
def universal(f, eps):
    N = math.ceil(1 / eps)
    x = torch.linspace(0, 1, N + 1)
    slopes = (f(x[1:]) - f(x[:-1])) * N
    return torch.ones(N, 1), -x[:-1], slopes[None], f(x[:1])


# %% universal: put the kinks at -x_j: b_1 has the opposite sign
def universal(f, eps):
    N = math.ceil(1 / eps)
    x = torch.linspace(0, 1, N + 1)
    slopes = (f(x[1:]) - f(x[:-1])) * N
    W_2 = torch.cat([slopes[:1], slopes[1:] - slopes[:-1]])
    return torch.ones(N, 1), x[:-1], W_2[None], f(x[:1])


# %% universal: took differences of f for slopes, not divided by the step
def universal(f, eps):
    N = math.ceil(1 / eps)
    x = torch.linspace(0, 1, N + 1)
    rises = f(x[1:]) - f(x[:-1])
    W_2 = torch.cat([rises[:1], rises[1:] - rises[:-1]])
    return torch.ones(N, 1), -x[:-1], W_2[None], f(x[:1])


# %% universal: used more than ⌈1/ε⌉ hidden units
def universal(f, eps):
    N = 2 * math.ceil(1 / eps)
    x = torch.linspace(0, 1, N + 1)
    slopes = (f(x[1:]) - f(x[:-1])) * N
    W_2 = torch.cat([slopes[:1], slopes[1:] - slopes[:-1]])
    return torch.ones(N, 1), -x[:-1], W_2[None], f(x[:1])


# %% parity_deep: returned 1 for an even number of ones
def parity_deep(n):
    Ws, bs, read = [], [], torch.eye(n)
    while len(read) > 1:
        p = len(read) // 2
        sums = read[0 : 2 * p : 2] + read[1 : 2 * p : 2]
        Ws.append(torch.cat([sums, sums, read[2 * p :]]))
        bs.append(torch.cat([torch.zeros(p), -torch.ones(p), torch.zeros(len(read) % 2)]))
        read = torch.block_diag(torch.cat([torch.eye(p), -2 * torch.eye(p)], dim=1), torch.eye(len(read) % 2))
    return [*Ws, -read], [*bs, torch.ones(1)]


# %% parity_deep: lost the bit that has no partner where a level has an odd number
def parity_deep(n):
    Ws, bs, read = [], [], torch.eye(n)
    while len(read) > 1:
        p = len(read) // 2
        sums = read[0 : 2 * p : 2] + read[1 : 2 * p : 2]
        Ws.append(torch.cat([sums, sums]))
        bs.append(torch.cat([torch.zeros(p), -torch.ones(p)]))
        read = torch.cat([torch.eye(p), -2 * torch.eye(p)], dim=1)
    return [*Ws, read], [*bs, torch.zeros(1)]


# %% parity_deep: added bits up where they should cancel: 1 + 1 is 2
def parity_deep(n):
    Ws, bs, size = [], [], n
    while size > 1:
        half = (size + 1) // 2
        W = torch.zeros(half, size)
        for j in range(size):
            W[j // 2, j] = 1
        Ws.append(W)
        bs.append(torch.zeros(half))
        size = half
    return [*Ws, torch.ones(1, 1)], [*bs, torch.zeros(1)]


# %% parity_deep: took or for xor
def parity_deep(n):
    Ws, bs, read = [], [], torch.eye(n)
    while len(read) > 1:
        p = len(read) // 2
        sums = read[0 : 2 * p : 2] + read[1 : 2 * p : 2]
        Ws.append(torch.cat([sums, sums, read[2 * p :]]))
        bs.append(torch.cat([torch.zeros(p), -torch.ones(p), torch.zeros(len(read) % 2)]))
        read = torch.block_diag(torch.cat([torch.eye(p), -torch.eye(p)], dim=1), torch.eye(len(read) % 2))
    return [*Ws, read], [*bs, torch.zeros(1)]


# %% parity_deep: went through the bits one after the other, not in pairs
def parity_deep(n):
    Ws, bs, read = [], [], torch.eye(n)
    while len(read) > 1:
        rest = read[2:]
        pair = read[:1] + read[1:2]
        Ws.append(torch.cat([pair, pair, rest]))
        bs.append(torch.cat([torch.tensor([0.0, -1.0]), torch.zeros(len(rest))]))
        read = torch.block_diag(torch.tensor([[1.0, -2.0]]), torch.eye(len(rest)))
    return [*Ws, read], [*bs, torch.zeros(1)]


# %% parity_deep: spent two hidden layers on a level of the tree
def parity_deep(n):
    Ws, bs, size = [], [], n
    while size > 1:
        p, odd = size // 2, size % 2
        pairs = torch.eye(2 * p).reshape(p, 2, 2 * p).sum(1)
        Ws.append(torch.block_diag(torch.cat([pairs, pairs]), torch.eye(odd)))
        bs.append(torch.cat([torch.zeros(p), -torch.ones(p), torch.zeros(odd)]))
        Ws.append(torch.block_diag(torch.cat([torch.eye(p), -2 * torch.eye(p)], dim=1), torch.eye(odd)))
        bs.append(torch.zeros(p + odd))
        size = p + odd
    return [*Ws, torch.ones(1, 1)], [*bs, torch.zeros(1)]


# %% parity_shallow: returned 1 for an even number of ones
def parity_shallow(n):
    W_2 = torch.tensor([[-1.0] + [-2.0 * (-1) ** j for j in range(1, n)]])
    return torch.ones(n, n), -torch.arange(n).double(), W_2, torch.ones(1)


# %% parity_shallow: let the slope change by 2 in one direction only
def parity_shallow(n):
    W_2 = torch.full((1, n), 2.0)
    W_2[0, 0] = 1
    return torch.ones(n, n), -torch.arange(n).double(), W_2, torch.zeros(1)


# %% parity_shallow: put the kinks at 1, …, n, one too far
def parity_shallow(n):
    W_2 = torch.tensor([[1.0] + [2.0 * (-1) ** j for j in range(1, n)]])
    return torch.ones(n, n), -torch.arange(1, n + 1).double(), W_2, torch.zeros(1)


# %% parity_shallow: gave the first unit the weight 2, too
def parity_shallow(n):
    W_2 = torch.tensor([[2.0 * (-1) ** j for j in range(n)]])
    return torch.ones(n, n), -torch.arange(n).double(), W_2, torch.zeros(1)
