"""Every listed mistake of the lab `backprop`, as the code that a student would hand in.

A cell's title is `question: sentence`; it runs after all solutions of the lab, in their namespace.
"""
# ruff: noqa: F811, F821


# %% numerical_gradient: took a forward difference, (f(x + eps) - f(x)) / eps
def numerical_gradient(f, x, eps):
    g = torch.zeros_like(x)
    for i in range(x.numel()):
        step = torch.zeros_like(x)
        step.view(-1)[i] = eps
        g.view(-1)[i] = (f(x + step) - f(x)) / eps
    return g


# %% numerical_gradient: took a backward difference, (f(x) - f(x - eps)) / eps
def numerical_gradient(f, x, eps):
    g = torch.zeros_like(x)
    for i in range(x.numel()):
        x_minus = x.clone()
        x_minus.view(-1)[i] -= eps
        g.view(-1)[i] = (f(x) - f(x_minus)) / eps
    return g


# %% numerical_gradient: divided by eps instead of 2 eps
def numerical_gradient(f, x, eps):
    g = torch.zeros_like(x)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            x_plus, x_minus = x.clone(), x.clone()
            x_plus[i, j] += eps
            x_minus[i, j] -= eps
            g[i, j] = (f(x_plus) - f(x_minus)) / eps
    return g


# %% numerical_gradient: moved all entries of x at once
def numerical_gradient(f, x, eps):
    g = torch.zeros_like(x)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            g[i, j] = (f(x + eps) - f(x - eps)) / (2 * eps)
    return g


# %% numerical_gradient: moved all entries of x at once, and returned one number
def numerical_gradient(f, x, eps):
    return (f(x + eps) - f(x - eps)) / (2 * eps)


# %% numerical_gradient: never moved an entry back before going on to the next
def numerical_gradient(f, x, eps):
    x = x.clone()
    g = torch.zeros_like(x)
    for i in range(x.numel()):
        x.view(-1)[i] += eps
        up = f(x)
        x.view(-1)[i] -= 2 * eps
        down = f(x)
        g.view(-1)[i] = (up - down) / (2 * eps)
    return g


# %% numerical_gradient: returned a flat gradient, not one in the shape of x
def numerical_gradient(f, x, eps):
    n = x.numel()
    g = torch.zeros(n)
    for i in range(n):
        e = torch.zeros(n)
        e[i] = eps
        e = e.reshape(x.shape)
        g[i] = (f(x + e) - f(x - e)) / (2 * eps)
    return g


# %% tanh: took the derivative at f instead of at a
def tanh(a):
    f = torch.tanh(a)
    return f, 1 - torch.tanh(f) ** 2


# %% tanh: returned 1 - f, not 1 - f², as the derivative
def tanh(a):
    f = torch.tanh(a)
    return f, 1 - f


# %% tanh: let e^{2a} overflow at large a
def tanh(a):
    e = torch.exp(2 * a)
    f = (e - 1) / (e + 1)
    return f, 1 - f**2


# %% tanh: let e^a and e^{-a} overflow at large a
def tanh(a):
    f = (torch.exp(a) - torch.exp(-a)) / (torch.exp(a) + torch.exp(-a))
    return f, 1 - f**2


# %% sigmoid: took the derivative at f instead of at a
def sigmoid(a):
    f = torch.sigmoid(a)
    return f, torch.sigmoid(f) * (1 - torch.sigmoid(f))


# %% sigmoid: left out the minus sign in e^{-a}
def sigmoid(a):
    f = 1 / (1 + torch.exp(a))
    return f, f * (1 - f)


# %% sigmoid: returned f (1 + f), not f (1 - f), as the derivative
def sigmoid(a):
    f = 1 / (1 + torch.exp(-a))
    return f, f * (1 + f)


# %% sigmoid: returned 1 - f², which is the derivative of tanh
def sigmoid(a):
    f = torch.sigmoid(a)
    return f, 1 - f**2


# %% sigmoid: let e^a overflow at large a
def sigmoid(a):
    e = torch.exp(a)
    f = e / (1 + e)
    return f, f * (1 - f)


# %% relu: returned f itself as the derivative
def relu(a):
    f = torch.relu(a)
    return f, f


# %% relu: let the gradient through everywhere
def relu(a):
    return a.clamp(min=0), torch.ones_like(a)


# %% relu: let the gradient through where a is negative
def relu(a):
    f = torch.maximum(a, torch.zeros_like(a))
    df = torch.ones_like(a)
    df[a >= 0] = 0
    return f, df


# %% relu: returned |a|
def relu(a):
    return a.abs(), torch.sign(a)


# %% layer_jacobians: took f' at the activation instead of at W z + b
def layer_jacobians(z, W, b):
    f, _ = tanh(W @ z + b)
    _, df = tanh(f)
    J_b = torch.diag(df)
    return J_b @ W, J_b


# %% layer_jacobians: left out f'
def layer_jacobians(z, W, b):
    return W, torch.eye(len(b))


# %% layer_jacobians: returned J_z transposed
def layer_jacobians(z, W, b):
    _, df = tanh(W @ z + b)
    return W.T @ torch.diag(df), torch.diag(df)


# %% layer_jacobians: returned the diagonal of J_b, not the matrix
def layer_jacobians(z, W, b):
    df = 1 - torch.tanh(W @ z + b) ** 2
    return df[:, None] * W, df


# %% softmax_cross_entropy: summed the loss over the batch instead of averaging it
def softmax_cross_entropy(Z, y):
    m = Z.shape[0]
    P = torch.softmax(Z, dim=1)
    loss = -torch.log(P[range(m), y]).sum()
    G = P.clone()
    G[range(m), y] -= 1
    return loss, G


# %% softmax_cross_entropy: never divided G by m
def softmax_cross_entropy(Z, y):
    m = Z.shape[0]
    E = torch.exp(Z - Z.max(dim=1, keepdim=True).values)
    P = E / E.sum(dim=1, keepdim=True)
    loss = -torch.log(P[torch.arange(m), y]).mean()
    Y = torch.zeros_like(P)
    Y[torch.arange(m), y] = 1
    return loss, P - Y


# %% softmax_cross_entropy: divided G by m twice
def softmax_cross_entropy(Z, y):
    m = Z.shape[0]
    P = torch.softmax(Z, dim=1)
    Y = torch.eye(Z.shape[1])[y]
    loss = -(Y * torch.log(P)).sum() / m
    G = (P - Y) / m
    return loss, G / m


# %% softmax_cross_entropy: subtracted the maximum over the wrong axis
def softmax_cross_entropy(Z, y):
    m = Z.shape[0]
    E = torch.exp(Z - Z.max(dim=0).values)
    P = E / E.sum(dim=1, keepdim=True)
    loss = -torch.log(P[torch.arange(m), y]).mean()
    G = P.clone()
    G[torch.arange(m), y] -= 1
    return loss, G / m


# %% softmax_cross_entropy: normalised over the batch instead of over the classes
def softmax_cross_entropy(Z, y):
    m = Z.shape[0]
    P = torch.softmax(Z, dim=0)
    loss = -torch.log(P[torch.arange(m), y]).mean()
    G = P.clone()
    G[torch.arange(m), y] -= 1
    return loss, G / m


# %% softmax_cross_entropy: subtracted y itself, not its one-hot rows
def softmax_cross_entropy(Z, y):
    m = Z.shape[0]
    P = torch.softmax(Z, dim=1)
    loss = -torch.log(P[torch.arange(m), y]).mean()
    return loss, (P - y.reshape(m, 1)) / m


# %% softmax_cross_entropy: did not subtract the one-hot y from the probabilities
def softmax_cross_entropy(Z, y):
    m = Z.shape[0]
    P = torch.softmax(Z, dim=1)
    loss = -torch.log(P[torch.arange(m), y]).mean()
    return loss, P / m


# %% softmax_cross_entropy: left out the minus sign of the loss
def softmax_cross_entropy(Z, y):
    m = Z.shape[0]
    P = torch.softmax(Z, dim=1)
    loss = torch.log(P[torch.arange(m), y]).mean()
    G = P.clone()
    G[torch.arange(m), y] -= 1
    return loss, G / m


# %% softmax_cross_entropy: let e^z overflow: the maximum is not subtracted
def softmax_cross_entropy(Z, y):
    m = Z.shape[0]
    P = torch.exp(Z) / torch.exp(Z).sum(dim=1, keepdim=True)
    loss = -torch.log(P[torch.arange(m), y]).mean()
    P[torch.arange(m), y] -= 1
    return loss, P / m


# %% softmax_cross_entropy: let e^z overflow in log Σ e^z: the maximum is not subtracted
def softmax_cross_entropy(Z, y):
    m = Z.shape[0]
    total = torch.exp(Z).sum(dim=1)
    loss = (torch.log(total) - Z[torch.arange(m), y]).mean()
    G = torch.exp(Z) / total[:, None]
    G[torch.arange(m), y] -= 1
    return loss, G / m


# %% linear_backward: averaged the bias gradient over the batch
def linear_backward(G, Z, W, b):
    return G @ W, G.T @ Z, G.mean(dim=0)


# %% linear_backward: did not sum the bias gradient over the batch
def linear_backward(G, Z, W, b):
    return G @ W, G.T @ Z, G


# %% linear_backward: summed the bias gradient over the wrong axis
def linear_backward(G, Z, W, b):
    return G @ W, G.T @ Z, G.sum(dim=1)


# %% linear_backward: returned the weight gradient transposed
def linear_backward(G, Z, W, b):
    return G @ W, Z.T @ G, G.sum(dim=0)


# %% linear_backward: divided by m, which belongs to the loss
def linear_backward(G, Z, W, b):
    m = len(Z)
    return G @ W, G.T @ Z / m, G.sum(dim=0) / m


# %% linear_backward: returned G_W and G_Z in each other's place
def linear_backward(G, Z, W, b):
    G_W = torch.matmul(G.T, Z)
    G_Z = torch.matmul(G, W)
    return G_W, G_Z, torch.sum(G, dim=0)


# %% backpropagation: took f' at the activation z_{i+1} instead of at W_i z_i + b_i
def backpropagation(x, y, Ws, bs, fs, loss):
    zs = [x]
    for W, b, f in zip(Ws, bs, fs):
        z, _ = f(W @ zs[-1] + b)
        zs.append(z)
    L, g = loss(zs[-1], y)
    g_Ws, g_bs = [], []
    for i in reversed(range(len(Ws))):
        _, dz = fs[i](zs[i + 1])
        delta = g * dz
        g_bs.insert(0, delta)
        g_Ws.insert(0, torch.outer(delta, zs[i]))
        g = Ws[i].T @ delta
    return L, g_Ws, g_bs


# %% backpropagation: left out f'
def backpropagation(x, y, Ws, bs, fs, loss):
    zs = [x]
    for W, b, f in zip(Ws, bs, fs):
        zs.append(f(W @ zs[-1] + b)[0])
    L, g = loss(zs[-1], y)
    g_Ws, g_bs = [], []
    for i in reversed(range(len(Ws))):
        g_bs.insert(0, g)
        g_Ws.insert(0, torch.outer(g, zs[i]))
        g = Ws[i].T @ g
    return L, g_Ws, g_bs


# %% backpropagation: left out f' of the last layer
def backpropagation(x, y, Ws, bs, fs, loss):
    k = len(Ws)
    zs, dzs = [x], []
    for W, b, f in zip(Ws, bs, fs):
        z, dz = f(W @ zs[-1] + b)
        zs.append(z)
        dzs.append(dz)
    L, delta = loss(zs[-1], y)
    g_Ws, g_bs = [None] * k, [None] * k
    for i in range(k - 1, -1, -1):
        g_bs[i] = delta
        g_Ws[i] = torch.outer(delta, zs[i])
        if i > 0:
            delta = (Ws[i].T @ delta) * dzs[i - 1]
    return L, g_Ws, g_bs


# %% backpropagation: left out f' where g_i is passed on to the layer below
def backpropagation(x, y, Ws, bs, fs, loss):
    zs, dzs = [x], []
    for W, b, f in zip(Ws, bs, fs):
        z, dz = f(W @ zs[-1] + b)
        zs.append(z)
        dzs.append(dz)
    L, g = loss(zs[-1], y)
    g_Ws, g_bs = [], []
    for i in reversed(range(len(Ws))):
        g_bs.insert(0, g * dzs[i])
        g_Ws.insert(0, torch.outer(g * dzs[i], zs[i]))
        g = Ws[i].T @ g
    return L, g_Ws, g_bs


# %% backpropagation: updated g before ∇W used it
def backpropagation(x, y, Ws, bs, fs, loss):
    zs, dzs = [x], []
    for W, b, f in zip(Ws, bs, fs):
        z, dz = f(W @ zs[-1] + b)
        zs.append(z)
        dzs.append(dz)
    L, g = loss(zs[-1], y)
    g_Ws, g_bs = [], []
    for i in reversed(range(len(Ws))):
        g = g * dzs[i]
        g_bs.insert(0, g)
        g = Ws[i].T @ g
        g_Ws.insert(0, torch.outer(g, zs[i]))
    return L, g_Ws, g_bs


# %% backpropagation: changed W_i by its gradient before g_i used it
def backpropagation(x, y, Ws, bs, fs, loss):
    zs, dzs = [x], []
    for W, b, f in zip(Ws, bs, fs):
        z, dz = f(W @ zs[-1] + b)
        zs.append(z)
        dzs.append(dz)
    L, g = loss(zs[-1], y)
    g_Ws, g_bs = [], []
    for i in reversed(range(len(Ws))):
        delta = g * dzs[i]
        g_bs.insert(0, delta)
        g_Ws.insert(0, torch.outer(delta, zs[i]))
        Ws[i] -= g_Ws[0]
        g = Ws[i].T @ delta
    return L, g_Ws, g_bs


# %% backpropagation: returned the gradients last layer first
def backpropagation(x, y, Ws, bs, fs, loss):
    zs, dzs = [x], []
    for W, b, f in zip(Ws, bs, fs):
        z, dz = f(W @ zs[-1] + b)
        zs.append(z)
        dzs.append(dz)
    L, g = loss(zs[-1], y)
    g_Ws, g_bs = [], []
    for i in reversed(range(len(Ws))):
        delta = g * dzs[i]
        g_bs.append(delta)
        g_Ws.append(torch.outer(delta, zs[i]))
        g = Ws[i].T @ delta
    return L, g_Ws, g_bs


# %% backpropagation: returned the weight gradients transposed
def backpropagation(x, y, Ws, bs, fs, loss):
    zs, dzs = [x], []
    for W, b, f in zip(Ws, bs, fs):
        z, dz = f(W @ zs[-1] + b)
        zs.append(z)
        dzs.append(dz)
    L, g = loss(zs[-1], y)
    g_Ws, g_bs = [], []
    for i in reversed(range(len(Ws))):
        delta = g * dzs[i]
        g_bs.insert(0, delta)
        g_Ws.insert(0, zs[i][:, None] @ delta[None, :])
        g = Ws[i].T @ delta
    return L, g_Ws, g_bs


# %% mlp_backward: let the gradient through ReLU where it is off
def mlp_backward(X, y, Ws, bs):
    Zs = [X]
    for W, b in zip(Ws[:-1], bs[:-1]):
        Zs.append(relu(Zs[-1] @ W.T + b)[0])
    loss, G = softmax_cross_entropy(Zs[-1] @ Ws[-1].T + bs[-1], y)
    g_Ws, g_bs = [], []
    for i in reversed(range(len(Ws))):
        G, g_W, g_b = linear_backward(G, Zs[i], Ws[i], bs[i])
        g_Ws.insert(0, g_W)
        g_bs.insert(0, g_b)
    return loss, g_Ws, g_bs


# %% mlp_backward: put a ReLU after the last layer, too
def mlp_backward(X, y, Ws, bs):
    Zs, dZs = [X], []
    for W, b in zip(Ws, bs):
        Z, dZ = relu(Zs[-1] @ W.T + b)
        Zs.append(Z)
        dZs.append(dZ)
    loss, G = softmax_cross_entropy(Zs[-1], y)
    g_Ws, g_bs = [], []
    for i in reversed(range(len(Ws))):
        G, g_W, g_b = linear_backward(G * dZs[i], Zs[i], Ws[i], bs[i])
        g_Ws.insert(0, g_W)
        g_bs.insert(0, g_b)
    return loss, g_Ws, g_bs


# %% mlp_backward: kept the pre-activations where ∇W needs what ReLU made of them
def mlp_backward(X, y, Ws, bs):
    k = len(Ws)
    A, inputs, dZs = X, [], []
    for i in range(k):
        inputs.append(A)
        Z, dZ = relu(A) if i > 0 else (A, 1)
        dZs.append(dZ)
        A = Z @ Ws[i].T + bs[i]
    loss, G = softmax_cross_entropy(A, y)
    g_Ws, g_bs = [None] * k, [None] * k
    for i in reversed(range(k)):
        G, g_Ws[i], g_bs[i] = linear_backward(G, inputs[i], Ws[i], bs[i])
        G = G * dZs[i]
    return loss, g_Ws, g_bs


# %% mlp_backward: divided by m twice
def mlp_backward(X, y, Ws, bs):
    m = len(X)
    Zs, dZs = [X], []
    for W, b in zip(Ws[:-1], bs[:-1]):
        Z, dZ = relu(Zs[-1] @ W.T + b)
        Zs.append(Z)
        dZs.append(dZ)
    loss, G = softmax_cross_entropy(Zs[-1] @ Ws[-1].T + bs[-1], y)
    g_Ws, g_bs = [], []
    for i in reversed(range(len(Ws))):
        G, g_W, g_b = linear_backward(G, Zs[i], Ws[i], bs[i])
        if i > 0:
            G = G * dZs[i - 1]
        g_Ws.insert(0, g_W / m)
        g_bs.insert(0, g_b / m)
    return loss, g_Ws, g_bs


# %% mlp_backward: summed the loss over the batch instead of averaging it
def mlp_backward(X, y, Ws, bs):
    Zs = [X]
    for W, b in zip(Ws[:-1], bs[:-1]):
        Zs.append(torch.relu(Zs[-1] @ W.T + b))
    P = torch.softmax(Zs[-1] @ Ws[-1].T + bs[-1], dim=1)
    Y = torch.zeros_like(P)
    Y[torch.arange(len(y)), y] = 1
    loss = -(Y * P.log()).sum()
    G = P - Y
    g_Ws, g_bs = [], []
    for i in reversed(range(len(Ws))):
        g_Ws = [G.T @ Zs[i], *g_Ws]
        g_bs = [G.sum(dim=0), *g_bs]
        G = (G @ Ws[i]) * (Zs[i] > 0)
    return loss, g_Ws, g_bs


# %% mlp_backward: returned the gradients last layer first
def mlp_backward(X, y, Ws, bs):
    Zs, dZs = [X], [torch.ones_like(X)]
    for W, b in zip(Ws[:-1], bs[:-1]):
        Z, dZ = relu(Zs[-1] @ W.T + b)
        Zs.append(Z)
        dZs.append(dZ)
    loss, G = softmax_cross_entropy(Zs[-1] @ Ws[-1].T + bs[-1], y)
    g_Ws, g_bs = [], []
    for i in reversed(range(len(Ws))):
        G, g_W, g_b = linear_backward(G, Zs[i], Ws[i], bs[i])
        G = G * dZs[i]
        g_Ws.append(g_W)
        g_bs.append(g_b)
    return loss, g_Ws, g_bs


# %% sgd_step: went up the gradient
def sgd_step(w, g, alpha):
    return w + alpha * g


# %% sgd_step: left out alpha
def sgd_step(w, g, alpha):
    return w - g


# %% sgd_step: returned the step instead of the new w
def sgd_step(w, g, alpha):
    return alpha * g


# %% momentum_step: did not return the new v
def momentum_step(w, g, v, alpha, beta):
    v_new = beta * v + g
    return w - alpha * v_new, v


# %% momentum_step: took (1 - β) g into v
def momentum_step(w, g, v, alpha, beta):
    v = beta * v + (1 - beta) * g
    return w - alpha * v, v


# %% momentum_step: took Nesterov's step
def momentum_step(w, g, v, alpha, beta):
    v = beta * v + g
    return w - alpha * (g + beta * v), v


# %% momentum_step: took α into v
def momentum_step(w, g, v, alpha, beta):
    v = beta * v + alpha * g
    return w - v, v


# %% momentum_step: took -α g into v, and added v to w
def momentum_step(w, g, v, alpha, beta):
    v = beta * v - alpha * g
    return w + v, v


# %% momentum_step: stepped with the old v
def momentum_step(w, g, v, alpha, beta):
    w = w - alpha * v
    v = beta * v + g
    return w, v


# %% adam_step: put ε under the root
def adam_step(w, g, m, v, t, alpha, beta1, beta2, eps):
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    return w - alpha * m_hat / torch.sqrt(v_hat + eps), m, v


# %% adam_step: left out the bias correction
def adam_step(w, g, m, v, t, alpha, beta1, beta2, eps):
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    return w - alpha * m / (v.sqrt() + eps), m, v


# %% adam_step: counted t from 0
def adam_step(w, g, m, v, t, alpha, beta1, beta2, eps):
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g * g
    m_hat = m / (1 - beta1 ** (t - 1))
    v_hat = v / (1 - beta2 ** (t - 1))
    return w - alpha * m_hat / (torch.sqrt(v_hat) + eps), m, v


# %% adam_step: took t + 1 for t, as if t began at 0
def adam_step(w, g, m, v, t, alpha, beta1, beta2, eps):
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g * g
    m_hat = m / (1 - beta1 ** (t + 1))
    v_hat = v / (1 - beta2 ** (t + 1))
    return w - alpha * m_hat / (torch.sqrt(v_hat) + eps), m, v


# %% adam_step: averaged g instead of g² into v
def adam_step(w, g, m, v, t, alpha, beta1, beta2, eps):
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    return w - alpha * m_hat / (v_hat.sqrt() + eps), m, v


# %% adam_step: swapped β1 and β2
def adam_step(w, g, m, v, t, alpha, beta1, beta2, eps):
    m = beta2 * m + (1 - beta2) * g
    v = beta1 * v + (1 - beta1) * g**2
    m_hat = m / (1 - beta2**t)
    v_hat = v / (1 - beta1**t)
    return w - alpha * m_hat / (v_hat.sqrt() + eps), m, v


# %% adam_step: returned the old m and v
def adam_step(w, g, m, v, t, alpha, beta1, beta2, eps):
    m_new = beta1 * m + (1 - beta1) * g
    v_new = beta2 * v + (1 - beta2) * g**2
    m_hat = m_new / (1 - beta1**t)
    v_hat = v_new / (1 - beta2**t)
    return w - alpha * m_hat / (v_hat.sqrt() + eps), m, v


# %% adam_step: returned the corrected m and v
def adam_step(w, g, m, v, t, alpha, beta1, beta2, eps):
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    m = m / (1 - beta1**t)
    v = v / (1 - beta2**t)
    return w - alpha * m / (v.sqrt() + eps), m, v


# %% dropout: took p as the probability of keeping
def dropout(Z, p, generator):
    mask = torch.rand(Z.shape, generator=generator) < p
    return Z * mask / p, mask


# %% dropout: kept with probability p, and divided by 1 - p
def dropout(Z, p, generator):
    mask = torch.rand(Z.shape, generator=generator) < p
    return Z * mask / (1 - p), mask


# %% dropout: returned the mask of what is dropped
def dropout(Z, p, generator):
    mask = torch.rand(Z.shape, generator=generator) < p
    out = Z.masked_fill(mask, 0) / (1 - p)
    return out, mask


# %% dropout: did not rescale what is kept
def dropout(Z, p, generator):
    mask = torch.rand(Z.shape, generator=generator) >= p
    return Z * mask, mask


# %% dropout: divided what is kept by p instead of 1 - p
def dropout(Z, p, generator):
    mask = torch.rand(Z.shape, generator=generator) > p
    return Z * mask / p, mask


# %% dropout: drew one mask for all rows
def dropout(Z, p, generator):
    mask = torch.rand(Z.shape[1], generator=generator) >= p
    mask = mask.expand(Z.shape)
    return Z * mask / (1 - p), mask


# %% dropout: drew one mask for all columns
def dropout(Z, p, generator):
    mask = torch.rand(len(Z), 1, generator=generator) >= p
    return Z * mask / (1 - p), mask.repeat(1, Z.shape[1])


# %% dropout: gave the generator its first seed again
def dropout(Z, p, generator):
    generator.manual_seed(generator.initial_seed())
    mask = torch.rand(Z.shape, generator=generator) >= p
    return Z * mask / (1 - p), mask


# %% dropout: ignored the generator
def dropout(Z, p, generator):
    mask = torch.rand_like(Z) >= p
    return Z * mask / (1 - p), mask


# %% dropout_backward: did not rescale
def dropout_backward(G, mask, p):
    return G * mask


# %% dropout_backward: divided by p instead of 1 - p
def dropout_backward(G, mask, p):
    return G * mask / p


# %% dropout_backward: let the gradient through where the unit is dropped
def dropout_backward(G, mask, p):
    G_Z = G / (1 - p)
    G_Z[mask] = 0
    return G_Z


# %% dropout_backward: forgot the mask
def dropout_backward(G, mask, p):
    return G / (1 - p)


# %% autoencoder_backward: took only the decoder's path into the tied W
def autoencoder_backward(X, W, b, c):
    m = len(X)
    H, dH = sigmoid(X @ W.T + b)
    X_hat, dX_hat = sigmoid(H @ W + c)
    loss = ((X_hat - X) ** 2).sum(dim=1).mean()
    D = 2 * (X_hat - X) / m * dX_hat
    E = D @ W.T * dH
    return loss, H.T @ D, E.sum(dim=0), D.sum(dim=0)


# %% autoencoder_backward: took only the encoder's path into the tied W
def autoencoder_backward(X, W, b, c):
    m = len(X)
    H, dH = sigmoid(X @ W.T + b)
    X_hat, dX_hat = sigmoid(H @ W + c)
    loss = ((X_hat - X) ** 2).sum(dim=1).mean()
    G = 2 * (X_hat - X) / m * dX_hat
    G_H, g_W, g_c = linear_backward(G, H, W.T, c)
    _, g_W, g_b = linear_backward(G_H * dH, X, W, b)
    return loss, g_W, g_b, g_c


# %% autoencoder_backward: averaged over the pixels, too
def autoencoder_backward(X, W, b, c):
    H, dH = sigmoid(X @ W.T + b)
    X_hat, dX_hat = sigmoid(H @ W + c)
    loss = ((X_hat - X) ** 2).mean()
    D = 2 * (X_hat - X) / X.numel() * dX_hat
    E = D @ W.T * dH
    return loss, H.T @ D + E.T @ X, E.sum(dim=0), D.sum(dim=0)


# %% autoencoder_backward: summed the loss over the batch instead of averaging it
def autoencoder_backward(X, W, b, c):
    H, dH = sigmoid(X @ W.T + b)
    X_hat, dX_hat = sigmoid(H @ W + c)
    loss = ((X_hat - X) ** 2).sum()
    D = 2 * (X_hat - X) * dX_hat
    E = D @ W.T * dH
    return loss, H.T @ D + E.T @ X, E.sum(dim=0), D.sum(dim=0)


# %% autoencoder_backward: forgot the 2 of the square's derivative
def autoencoder_backward(X, W, b, c):
    m = len(X)
    H, dH = sigmoid(X @ W.T + b)
    X_hat, dX_hat = sigmoid(H @ W + c)
    loss = ((X_hat - X) ** 2).sum(dim=1).mean()
    D = (X_hat - X) * dX_hat / m
    E = (D @ W.T) * dH
    return loss, E.T @ X + H.T @ D, E.sum(dim=0), D.sum(dim=0)


# %% autoencoder_backward: left out σ' at the output
def autoencoder_backward(X, W, b, c):
    m = len(X)
    H, dH = sigmoid(X @ W.T + b)
    X_hat, _ = sigmoid(H @ W + c)
    loss = ((X_hat - X) ** 2).sum(dim=1).mean()
    D = 2 * (X_hat - X) / m
    E = D @ W.T * dH
    return loss, H.T @ D + E.T @ X, E.sum(dim=0), D.sum(dim=0)


# %% autoencoder_backward: left out σ' at the hidden layer
def autoencoder_backward(X, W, b, c):
    m = len(X)
    H, _ = sigmoid(X @ W.T + b)
    X_hat, dX_hat = sigmoid(H @ W + c)
    loss = ((X_hat - X) ** 2).sum(dim=1).mean()
    D = 2 * (X_hat - X) / m * dX_hat
    E = D @ W.T
    return loss, H.T @ D + E.T @ X, E.sum(dim=0), D.sum(dim=0)


# %% tape: overwrote a gradient where it should accumulate
def tape(f, xs):
    variables = [Variable(x) for x in xs]
    order, seen = [], set()

    def visit(v):
        if id(v) not in seen:
            seen.add(id(v))
            for parent, _ in v.parents:
                visit(parent)
            order.append(v)

    output = f(*variables)
    visit(output)
    output.grad = 1
    for v in reversed(order):
        for parent, pull in v.parents:
            parent.grad = pull(v.grad)
    return [v.grad for v in variables]


# %% tape: took tanh' at the wrong place
def variable_tanh(self):
    f = self.value.tanh()
    return Variable(f, [(self, lambda g: g * (1 - f.tanh() ** 2))])


Variable.tanh = variable_tanh


# %% tape: left out the transposes in the gradients of @
def variable_matmul(self, other):
    return Variable(self.value @ other.value, [(self, lambda g: g @ other.value), (other, lambda g: self.value @ g)])


Variable.__matmul__ = variable_matmul


# %% products: exchanged the two counts
def products(Ws):
    k = len(Ws)
    return k, k * (k + 1) // 2


# %% products: counted only the products that lead to g_1
def products(Ws):
    return len(Ws), len(Ws)


# %% products: left out the product that leads to g_1
def products(Ws):
    k = len(Ws)
    return k * (k - 1) // 2, k - 1
