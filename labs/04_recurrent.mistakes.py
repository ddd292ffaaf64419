"""Every listed mistake of the lab `recurrent`, as the code that a student would hand in.

A cell's title is `question: sentence`; it runs after all solutions of the lab, in their namespace.
"""
# ruff: noqa: F811, F821


# %% rnn_step: left out the bias
def rnn_step(x, z_prev, W_xz, W_zz, b_1):
    return torch.tanh(x @ W_xz.T + z_prev @ W_zz.T)


# %% rnn_step: left out z(t-1)
def rnn_step(x, z_prev, W_xz, W_zz, b_1):
    return torch.tanh(x @ W_xz.T + b_1)


# %% rnn_step: left out tanh
def rnn_step(x, z_prev, W_xz, W_zz, b_1):
    return x @ W_xz.T + z_prev @ W_zz.T + b_1


# %% rnn_step: multiplied by W_zz from the wrong side, z W_zz instead of z W_zzᵀ
def rnn_step(x, z_prev, W_xz, W_zz, b_1):
    return torch.tanh(x @ W_xz.T + z_prev @ W_zz + b_1)


# %% rnn_step: took tanh of each product, not of the sum
def rnn_step(x, z_prev, W_xz, W_zz, b_1):
    return torch.tanh(x @ W_xz.T) + torch.tanh(z_prev @ W_zz.T) + b_1


# %% rnn_step: took σ for tanh
def rnn_step(x, z_prev, W_xz, W_zz, b_1):
    return 1 / (1 + torch.exp(-(x @ W_xz.T + z_prev @ W_zz.T + b_1)))


# %% rnn_backward: let nothing go back through time: each step stands alone
def rnn_backward(G, X, z_0, W_xz, W_zz, b_1):
    Z = [z_0]
    for x in X:
        Z.append(rnn_step(x, Z[-1], W_xz, W_zz, b_1))
    Z = torch.stack(Z)
    D = G * (1 - Z[1:] ** 2)
    return D @ W_xz, D[0] @ W_zz, *[torch.einsum("tmk,tmn->kn", D, A) for A in (X, Z[:-1])], D.sum((0, 1))


# %% rnn_backward: counted the loss of the last step only
def rnn_backward(G, X, z_0, W_xz, W_zz, b_1):
    Z = [z_0]
    for x in X:
        Z.append(rnn_step(x, Z[-1], W_xz, W_zz, b_1))
    G_X, G_W_xz, G_W_zz, G_b_1 = (torch.zeros_like(w) for w in (X, W_xz, W_zz, b_1))
    g = G[-1]
    for t in reversed(range(len(X))):
        D = g * (1 - Z[t + 1] ** 2)
        G_X[t] = D @ W_xz
        G_W_xz += D.T @ X[t]
        G_W_zz += D.T @ Z[t]
        G_b_1 += D.sum(dim=0)
        g = D @ W_zz
    return G_X, g, G_W_xz, G_W_zz, G_b_1


# %% rnn_backward: overwrote the gradients of the weights at each step, instead of adding
def rnn_backward(G, X, z_0, W_xz, W_zz, b_1):
    Z = [z_0]
    for x in X:
        Z.append(rnn_step(x, Z[-1], W_xz, W_zz, b_1))
    G_X, g = torch.zeros_like(X), torch.zeros_like(z_0)
    for t in reversed(range(len(X))):
        D = (G[t] + g) * (1 - Z[t + 1] ** 2)
        G_X[t] = D @ W_xz
        G_W_xz = D.T @ X[t]
        G_W_zz = D.T @ Z[t]
        G_b_1 = D.sum(dim=0)
        g = D @ W_zz
    return G_X, g, G_W_xz, G_W_zz, G_b_1


# %% rnn_backward: took the gradients of the weights from the last step only
def rnn_backward(G, X, z_0, W_xz, W_zz, b_1):
    Z = [z_0]
    for x in X:
        Z.append(rnn_step(x, Z[-1], W_xz, W_zz, b_1))
    D_T = G[-1] * (1 - Z[-1] ** 2)
    G_X, g = torch.zeros_like(X), torch.zeros_like(z_0)
    for t in range(len(X) - 1, -1, -1):
        D = (G[t] + g) * (1 - Z[t + 1] ** 2)
        G_X[t] = D @ W_xz
        g = D @ W_zz
    return G_X, g, D_T.T @ X[-1], D_T.T @ Z[-2], D_T.sum(0)


# %% rnn_backward: took z(t) for z(t-1) in the gradient of W_zz
def rnn_backward(G, X, z_0, W_xz, W_zz, b_1):
    Z, z = [], z_0
    for x in X:
        z = rnn_step(x, z, W_xz, W_zz, b_1)
        Z.append(z)
    G_X, G_W_xz, G_W_zz, G_b_1 = (torch.zeros_like(w) for w in (X, W_xz, W_zz, b_1))
    g = torch.zeros_like(z_0)
    for t in reversed(range(len(X))):
        D = (G[t] + g) * (1 - Z[t] ** 2)
        G_X[t] = D @ W_xz
        G_W_xz += D.T @ X[t]
        G_W_zz += D.T @ Z[t]
        G_b_1 += D.sum(dim=0)
        g = D @ W_zz
    return G_X, g, G_W_xz, G_W_zz, G_b_1


# %% rnn_backward: took tanh' at z(t), which is tanh already
def rnn_backward(G, X, z_0, W_xz, W_zz, b_1):
    Z = [z_0]
    for x in X:
        Z.append(rnn_step(x, Z[-1], W_xz, W_zz, b_1))
    G_X, G_W_xz, G_W_zz, G_b_1 = (torch.zeros_like(w) for w in (X, W_xz, W_zz, b_1))
    g = torch.zeros_like(z_0)
    for t in reversed(range(len(X))):
        D = (G[t] + g) * (1 - torch.tanh(Z[t + 1]) ** 2)
        G_X[t] = D @ W_xz
        G_W_xz += D.T @ X[t]
        G_W_zz += D.T @ Z[t]
        G_b_1 += D.sum(dim=0)
        g = D @ W_zz
    return G_X, g, G_W_xz, G_W_zz, G_b_1


# %% rnn_backward: left out tanh'
def rnn_backward(G, X, z_0, W_xz, W_zz, b_1):
    Z = [z_0]
    for x in X:
        Z.append(rnn_step(x, Z[-1], W_xz, W_zz, b_1))
    G_X, G_W_xz, G_W_zz, G_b_1 = (torch.zeros_like(w) for w in (X, W_xz, W_zz, b_1))
    g = torch.zeros_like(z_0)
    for t in reversed(range(len(X))):
        D = G[t] + g
        G_X[t] = D @ W_xz
        G_W_xz += D.T @ X[t]
        G_W_zz += D.T @ Z[t]
        G_b_1 += D.sum(dim=0)
        g = D @ W_zz
    return G_X, g, G_W_xz, G_W_zz, G_b_1


# %% rnn_backward: handed back through W_zzᵀ, where rows are multiplied by W_zz
def rnn_backward(G, X, z_0, W_xz, W_zz, b_1):
    Z = [z_0]
    for x in X:
        Z.append(rnn_step(x, Z[-1], W_xz, W_zz, b_1))
    G_X, G_W_xz, G_W_zz, G_b_1 = (torch.zeros_like(w) for w in (X, W_xz, W_zz, b_1))
    g = torch.zeros_like(z_0)
    for t in reversed(range(len(X))):
        D = (G[t] + g) * (1 - Z[t + 1] ** 2)
        G_X[t] = D @ W_xz
        G_W_xz += D.T @ X[t]
        G_W_zz += D.T @ Z[t]
        G_b_1 += D.sum(dim=0)
        g = D @ W_zz.T
    return G_X, g, G_W_xz, G_W_zz, G_b_1


# %% rnn_backward: gave the first state no gradient
def rnn_backward(G, X, z_0, W_xz, W_zz, b_1):
    Z = [z_0]
    for x in X:
        Z.append(rnn_step(x, Z[-1], W_xz, W_zz, b_1))
    G_X, G_z_0, G_W_xz, G_W_zz, G_b_1 = (torch.zeros_like(w) for w in (X, z_0, W_xz, W_zz, b_1))
    g = torch.zeros_like(z_0)
    for t in reversed(range(len(X))):
        D = (G[t] + g) * (1 - Z[t + 1] ** 2)
        G_X[t] = D @ W_xz
        G_W_xz += D.T @ X[t]
        G_W_zz += D.T @ Z[t]
        G_b_1 += D.sum(dim=0)
        g = D @ W_zz
    return G_X, G_z_0, G_W_xz, G_W_zz, G_b_1


# %% rnn_backward: returned the gradient of z(1) for that of z(0)
def rnn_backward(G, X, z_0, W_xz, W_zz, b_1):
    Z = [z_0]
    for x in X:
        Z.append(rnn_step(x, Z[-1], W_xz, W_zz, b_1))
    G_X, G_W_xz, G_W_zz, G_b_1 = (torch.zeros_like(w) for w in (X, W_xz, W_zz, b_1))
    D = torch.zeros_like(z_0)
    for t in reversed(range(len(X))):
        g = G[t] + D @ W_zz
        D = g * (1 - Z[t + 1] ** 2)
        G_X[t] = D @ W_xz
        G_W_xz += D.T @ X[t]
        G_W_zz += D.T @ Z[t]
        G_b_1 += D.sum(dim=0)
    return G_X, g, G_W_xz, G_W_zz, G_b_1


# %% rnn_backward: averaged over the steps, where gradients add up
def rnn_backward(G, X, z_0, W_xz, W_zz, b_1):
    Z = [z_0]
    for x in X:
        Z.append(rnn_step(x, Z[-1], W_xz, W_zz, b_1))
    G_X, G_W_xz, G_W_zz, G_b_1 = (torch.zeros_like(w) for w in (X, W_xz, W_zz, b_1))
    g, T = torch.zeros_like(z_0), len(X)
    for t in reversed(range(T)):
        D = (G[t] + g) * (1 - Z[t + 1] ** 2)
        G_X[t] = D @ W_xz
        G_W_xz += D.T @ X[t] / T
        G_W_zz += D.T @ Z[t] / T
        G_b_1 += D.sum(dim=0) / T
        g = D @ W_zz
    return G_X, g, G_W_xz, G_W_zz, G_b_1


# %% rnn_backward: averaged over the batch, which belongs to the loss
def rnn_backward(G, X, z_0, W_xz, W_zz, b_1):
    Z = [z_0]
    for x in X:
        Z.append(rnn_step(x, Z[-1], W_xz, W_zz, b_1))
    G_X, G_W_xz, G_W_zz, G_b_1 = (torch.zeros_like(w) for w in (X, W_xz, W_zz, b_1))
    g, m = torch.zeros_like(z_0), X.shape[1]
    for t in reversed(range(len(X))):
        D = (G[t] + g) * (1 - Z[t + 1] ** 2)
        G_X[t] = D @ W_xz
        G_W_xz += D.T @ X[t] / m
        G_W_zz += D.T @ Z[t] / m
        G_b_1 += D.mean(dim=0)
        g = D @ W_zz
    return G_X, g, G_W_xz, G_W_zz, G_b_1


# %% clip_gradients: clipped each tensor by its own norm
def clip_gradients(gs, c):
    norm = torch.sqrt(sum((g**2).sum() for g in gs))
    return [g * torch.clamp(c / g.norm(), max=1) for g in gs], norm


# %% clip_gradients: clipped each entry, not the norm
def clip_gradients(gs, c):
    return [g.clamp(-c, c) for g in gs], math.sqrt(sum((g**2).sum() for g in gs))


# %% clip_gradients: scaled to c also where the norm is smaller
def clip_gradients(gs, c):
    norm = torch.sqrt(sum((g**2).sum() for g in gs))
    return [g * c / norm for g in gs], norm


# %% clip_gradients: clipped when the norm is smaller than c, not when it is larger
def clip_gradients(gs, c):
    norm = torch.sqrt(sum((g**2).sum() for g in gs))
    if norm < c:
        gs = [g * c / norm for g in gs]
    return [g.clone() for g in gs], norm


# %% clip_gradients: divided by the norm, without c
def clip_gradients(gs, c):
    norm = torch.sqrt(sum((g**2).sum() for g in gs))
    if norm > c:
        return [g / norm for g in gs], norm
    return [g.clone() for g in gs], norm


# %% clip_gradients: added up the norms, not their squares
def clip_gradients(gs, c):
    norm = sum(g.norm() for g in gs)
    return [g * min(1, c / (norm + 1e-6)) for g in gs], norm


# %% clip_gradients: took no root of the sum of squares
def clip_gradients(gs, c):
    norm = sum((g**2).sum() for g in gs)
    return [g * torch.clamp(c / norm, max=1) for g in gs], norm


# %% clip_gradients: returned the norm after clipping
def clip_gradients(gs, c):
    norm = torch.sqrt(sum((g**2).sum() for g in gs))
    clipped = [g * torch.clamp(c / norm, max=1) for g in gs]
    return clipped, torch.sqrt(sum((g**2).sum() for g in clipped))


# %% vanishing: left out tanh': powers of W_zz
def vanishing(X, z_0, W_xz, W_zz, b_1):
    T = len(X)
    return [torch.linalg.matrix_norm(torch.linalg.matrix_power(W_zz, T - t), 2) for t in range(T)]


# %% vanishing: multiplied the norms, where the norm of the product is asked for
def vanishing(X, z_0, W_xz, W_zz, b_1):
    norms, each, z = torch.ones(len(X)), [], z_0[None]
    for x in X:
        z = rnn_step(x[None], z, W_xz, W_zz, b_1)
        each.append(torch.linalg.matrix_norm((1 - z**2).T * W_zz, 2))
    for t in range(len(X)):
        norms[t] = math.prod(each[t:])
    return norms


# %% vanishing: multiplied the Jacobians in the opposite order
def vanishing(X, z_0, W_xz, W_zz, b_1):
    Js, z = [], z_0[None]
    for x in X:
        z = rnn_step(x[None], z, W_xz, W_zz, b_1)
        Js.append((1 - z**2).T * W_zz)
    J, norms = torch.eye(len(z_0)), []
    for t in reversed(range(len(X))):
        J = Js[t] @ J
        norms.insert(0, torch.linalg.matrix_norm(J, 2))
    return norms


# %% vanishing: took tanh' at z(t-1), one step too early
def vanishing(X, z_0, W_xz, W_zz, b_1):
    Js, z = [], z_0[None]
    for x in X:
        Js.append((1 - z**2).T * W_zz)
        z = rnn_step(x[None], z, W_xz, W_zz, b_1)
    J, norms = torch.eye(len(z_0)), []
    for t in reversed(range(len(X))):
        J = J @ Js[t]
        norms.insert(0, torch.linalg.matrix_norm(J, 2))
    return norms


# %% vanishing: put tanh' on the columns of W_zz, not on its rows
def vanishing(X, z_0, W_xz, W_zz, b_1):
    Js, z = [], z_0[None]
    for x in X:
        z = rnn_step(x[None], z, W_xz, W_zz, b_1)
        Js.append((1 - z**2) * W_zz)
    J, norms = torch.eye(len(z_0)), []
    for t in reversed(range(len(X))):
        J = J @ Js[t]
        norms.insert(0, torch.linalg.matrix_norm(J, 2))
    return norms


# %% vanishing: took W_zz transposed
def vanishing(X, z_0, W_xz, W_zz, b_1):
    Js, z = [], z_0[None]
    for x in X:
        z = rnn_step(x[None], z, W_xz, W_zz, b_1)
        Js.append(torch.diag(1 - z[0] ** 2) @ W_zz.T)
    J, norms = torch.eye(len(z_0)), []
    for t in reversed(range(len(X))):
        J = J @ Js[t]
        norms.insert(0, torch.linalg.matrix_norm(J, 2))
    return norms


# %% vanishing: took the Frobenius norm
def vanishing(X, z_0, W_xz, W_zz, b_1):
    Js, z = [], z_0[None]
    for x in X:
        z = rnn_step(x[None], z, W_xz, W_zz, b_1)
        Js.append(torch.diag(1 - z[0] ** 2) @ W_zz)
    J, norms = torch.eye(len(z_0)), []
    for t in reversed(range(len(X))):
        J = J @ Js[t]
        norms.insert(0, J.norm())
    return norms


# %% vanishing: took ∂z(t)/∂z(0), from the first step on
def vanishing(X, z_0, W_xz, W_zz, b_1):
    J, norms, z = torch.eye(len(z_0)), [], z_0[None]
    for x in X:
        z = rnn_step(x[None], z, W_xz, W_zz, b_1)
        J = torch.diag(1 - z[0] ** 2) @ W_zz @ J
        norms.append(torch.linalg.matrix_norm(J, 2))
    return norms


# %% vanishing: returned the norms in the opposite order
def vanishing(X, z_0, W_xz, W_zz, b_1):
    Js, z = [], z_0[None]
    for x in X:
        z = rnn_step(x[None], z, W_xz, W_zz, b_1)
        Js.append(torch.diag(1 - z[0] ** 2) @ W_zz)
    J, norms = torch.eye(len(z_0)), []
    for J_t in reversed(Js):
        J = J @ J_t
        norms.append(torch.linalg.matrix_norm(J, 2))
    return norms


# %% lstm_step: took the gates in the order i, f, o, g
def lstm_step(x, h_prev, c_prev, W_ih, W_hh, b_ih, b_hh):
    i, f, o, g = (x @ W_ih.T + b_ih + h_prev @ W_hh.T + b_hh).chunk(4, dim=1)
    c = f.sigmoid() * c_prev + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


# %% lstm_step: took the gates in the order i, g, f, o
def lstm_step(x, h_prev, c_prev, W_ih, W_hh, b_ih, b_hh):
    i, g, f, o = (x @ W_ih.T + b_ih + h_prev @ W_hh.T + b_hh).chunk(4, dim=1)
    c = f.sigmoid() * c_prev + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


# %% lstm_step: took the input gate for the forget gate, and the forget gate for the input gate
def lstm_step(x, h_prev, c_prev, W_ih, W_hh, b_ih, b_hh):
    i, f, g, o = (x @ W_ih.T + b_ih + h_prev @ W_hh.T + b_hh).chunk(4, dim=1)
    c = i.sigmoid() * c_prev + f.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


# %% lstm_step: took tanh for the output gate
def lstm_step(x, h_prev, c_prev, W_ih, W_hh, b_ih, b_hh):
    i, f, g, o = (x @ W_ih.T + b_ih + h_prev @ W_hh.T + b_hh).chunk(4, dim=1)
    c = f.sigmoid() * c_prev + i.sigmoid() * g.tanh()
    return o.tanh() * c.tanh(), c


# %% lstm_step: took σ for g
def lstm_step(x, h_prev, c_prev, W_ih, W_hh, b_ih, b_hh):
    i, f, g, o = torch.sigmoid(x @ W_ih.T + b_ih + h_prev @ W_hh.T + b_hh).chunk(4, dim=1)
    c = f * c_prev + i * g
    return o * c.tanh(), c


# %% lstm_step: left out tanh of the cell state
def lstm_step(x, h_prev, c_prev, W_ih, W_hh, b_ih, b_hh):
    i, f, g, o = (x @ W_ih.T + b_ih + h_prev @ W_hh.T + b_hh).chunk(4, dim=1)
    c = f.sigmoid() * c_prev + i.sigmoid() * g.tanh()
    return o.sigmoid() * c, c


# %% lstm_step: left out one of the two biases, b_hh
def lstm_step(x, h_prev, c_prev, W_ih, W_hh, b_ih, b_hh):
    i, f, g, o = (x @ W_ih.T + h_prev @ W_hh.T + b_ih).chunk(4, dim=1)
    c = f.sigmoid() * c_prev + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


# %% lstm_step: forgot the old cell state: c = i ∘ g
def lstm_step(x, h_prev, c_prev, W_ih, W_hh, b_ih, b_hh):
    i, _, g, o = (x @ W_ih.T + b_ih + h_prev @ W_hh.T + b_hh).chunk(4, dim=1)
    c = i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


# %% lstm_step: kept all of the old cell state: left out f
def lstm_step(x, h_prev, c_prev, W_ih, W_hh, b_ih, b_hh):
    i, _, g, o = (x @ W_ih.T + b_ih + h_prev @ W_hh.T + b_hh).chunk(4, dim=1)
    c = c_prev + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


# %% lstm_step: returned c and h in each other's place
def lstm_step(x, h_prev, c_prev, W_ih, W_hh, b_ih, b_hh):
    i, f, g, o = (x @ W_ih.T + b_ih + h_prev @ W_hh.T + b_hh).chunk(4, dim=1)
    c = f.sigmoid() * c_prev + i.sigmoid() * g.tanh()
    return c, o.sigmoid() * c.tanh()


# %% lstm_step_backward: forgot that h depends on c: no gradient from h into the cell state
def lstm_step_backward(G_h, G_c, x, h_prev, c_prev, W_ih, W_hh, b_ih, b_hh):
    a = x @ W_ih.T + b_ih + h_prev @ W_hh.T + b_hh
    i, f, g, o = a.chunk(4, dim=1)
    i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
    tanh_c = (f * c_prev + i * g).tanh()
    G_i, G_f, G_g, G_o = G_c * g, G_c * c_prev, G_c * i, G_h * tanh_c
    A = torch.cat([G_i * i * (1 - i), G_f * f * (1 - f), G_g * (1 - g**2), G_o * o * (1 - o)], dim=1)
    G_b = A.sum(dim=0)
    return A @ W_ih, A @ W_hh, G_c * f, A.T @ x, A.T @ h_prev, G_b, G_b.clone()


# %% lstm_step_backward: ignored G_c: what comes back through the cell state
def lstm_step_backward(G_h, G_c, x, h_prev, c_prev, W_ih, W_hh, b_ih, b_hh):
    a = x @ W_ih.T + b_ih + h_prev @ W_hh.T + b_hh
    i, f, g, o = a.chunk(4, dim=1)
    i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
    tanh_c = (f * c_prev + i * g).tanh()
    G_c = G_h * o * (1 - tanh_c**2)
    G_i, G_f, G_g, G_o = G_c * g, G_c * c_prev, G_c * i, G_h * tanh_c
    A = torch.cat([G_i * i * (1 - i), G_f * f * (1 - f), G_g * (1 - g**2), G_o * o * (1 - o)], dim=1)
    G_b = A.sum(dim=0)
    return A @ W_ih, A @ W_hh, G_c * f, A.T @ x, A.T @ h_prev, G_b, G_b.clone()


# %% lstm_step_backward: left out f in the gradient of c_prev
def lstm_step_backward(G_h, G_c, x, h_prev, c_prev, W_ih, W_hh, b_ih, b_hh):
    a = x @ W_ih.T + b_ih + h_prev @ W_hh.T + b_hh
    i, f, g, o = a.chunk(4, dim=1)
    i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
    tanh_c = (f * c_prev + i * g).tanh()
    G_c = G_c + G_h * o * (1 - tanh_c**2)
    G_i, G_f, G_g, G_o = G_c * g, G_c * c_prev, G_c * i, G_h * tanh_c
    A = torch.cat([G_i * i * (1 - i), G_f * f * (1 - f), G_g * (1 - g**2), G_o * o * (1 - o)], dim=1)
    G_b = A.sum(dim=0)
    return A @ W_ih, A @ W_hh, G_c, A.T @ x, A.T @ h_prev, G_b, G_b.clone()


# %% lstm_step_backward: took σ' and tanh' at the gates, not at what went into them
def lstm_step_backward(G_h, G_c, x, h_prev, c_prev, W_ih, W_hh, b_ih, b_hh):
    a = x @ W_ih.T + b_ih + h_prev @ W_hh.T + b_hh
    i, f, g, o = a.chunk(4, dim=1)
    i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
    tanh_c = (f * c_prev + i * g).tanh()
    G_c = G_c + G_h * o * (1 - tanh_c**2)
    G_i, G_f, G_g, G_o = G_c * g, G_c * c_prev, G_c * i, G_h * tanh_c
    slopes = [s.sigmoid() * (1 - s.sigmoid()) for s in (i, f, o)]
    A = torch.cat([G_i * slopes[0], G_f * slopes[1], G_g * (1 - g.tanh() ** 2), G_o * slopes[2]], dim=1)
    G_b = A.sum(dim=0)
    return A @ W_ih, A @ W_hh, G_c * f, A.T @ x, A.T @ h_prev, G_b, G_b.clone()


# %% lstm_step_backward: took 1 - c² for tanh'(c), which is 1 - tanh²(c)
def lstm_step_backward(G_h, G_c, x, h_prev, c_prev, W_ih, W_hh, b_ih, b_hh):
    a = x @ W_ih.T + b_ih + h_prev @ W_hh.T + b_hh
    i, f, g, o = a.chunk(4, dim=1)
    i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
    c = f * c_prev + i * g
    G_c = G_c + G_h * o * (1 - c**2)
    G_i, G_f, G_g, G_o = G_c * g, G_c * c_prev, G_c * i, G_h * c.tanh()
    A = torch.cat([G_i * i * (1 - i), G_f * f * (1 - f), G_g * (1 - g**2), G_o * o * (1 - o)], dim=1)
    G_b = A.sum(dim=0)
    return A @ W_ih, A @ W_hh, G_c * f, A.T @ x, A.T @ h_prev, G_b, G_b.clone()


# %% lstm_step_backward: left out tanh' of the cell state
def lstm_step_backward(G_h, G_c, x, h_prev, c_prev, W_ih, W_hh, b_ih, b_hh):
    a = x @ W_ih.T + b_ih + h_prev @ W_hh.T + b_hh
    i, f, g, o = a.chunk(4, dim=1)
    i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
    tanh_c = (f * c_prev + i * g).tanh()
    G_c = G_c + G_h * o
    G_i, G_f, G_g, G_o = G_c * g, G_c * c_prev, G_c * i, G_h * tanh_c
    A = torch.cat([G_i * i * (1 - i), G_f * f * (1 - f), G_g * (1 - g**2), G_o * o * (1 - o)], dim=1)
    G_b = A.sum(dim=0)
    return A @ W_ih, A @ W_hh, G_c * f, A.T @ x, A.T @ h_prev, G_b, G_b.clone()


# %% lstm_step_backward: took σ', s (1 - s), for all four gates: g is a tanh
def lstm_step_backward(G_h, G_c, x, h_prev, c_prev, W_ih, W_hh, b_ih, b_hh):
    a = x @ W_ih.T + b_ih + h_prev @ W_hh.T + b_hh
    i, f, g, o = a.chunk(4, dim=1)
    i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
    tanh_c = (f * c_prev + i * g).tanh()
    G_c = G_c + G_h * o * (1 - tanh_c**2)
    G_i, G_f, G_g, G_o = G_c * g, G_c * c_prev, G_c * i, G_h * tanh_c
    A = torch.cat([G_s * s * (1 - s) for G_s, s in zip((G_i, G_f, G_g, G_o), (i, f, g, o))], dim=1)
    G_b = A.sum(dim=0)
    return A @ W_ih, A @ W_hh, G_c * f, A.T @ x, A.T @ h_prev, G_b, G_b.clone()


# %% lstm_step_backward: stacked the gradients of the gates in the order i, f, o, g
def lstm_step_backward(G_h, G_c, x, h_prev, c_prev, W_ih, W_hh, b_ih, b_hh):
    a = x @ W_ih.T + b_ih + h_prev @ W_hh.T + b_hh
    i, f, g, o = a.chunk(4, dim=1)
    i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
    tanh_c = (f * c_prev + i * g).tanh()
    G_c = G_c + G_h * o * (1 - tanh_c**2)
    G_i, G_f, G_g, G_o = G_c * g, G_c * c_prev, G_c * i, G_h * tanh_c
    A = torch.cat([G_i * i * (1 - i), G_f * f * (1 - f), G_o * o * (1 - o), G_g * (1 - g**2)], dim=1)
    G_b = A.sum(dim=0)
    return A @ W_ih, A @ W_hh, G_c * f, A.T @ x, A.T @ h_prev, G_b, G_b.clone()


# %% lstm_step_backward: took i for g, and g for i, in each other's gradient
def lstm_step_backward(G_h, G_c, x, h_prev, c_prev, W_ih, W_hh, b_ih, b_hh):
    a = x @ W_ih.T + b_ih + h_prev @ W_hh.T + b_hh
    i, f, g, o = a.chunk(4, dim=1)
    i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
    tanh_c = (f * c_prev + i * g).tanh()
    G_c = G_c + G_h * o * (1 - tanh_c**2)
    G_i, G_f, G_g, G_o = G_c * i, G_c * c_prev, G_c * g, G_h * tanh_c
    A = torch.cat([G_i * i * (1 - i), G_f * f * (1 - f), G_g * (1 - g**2), G_o * o * (1 - o)], dim=1)
    G_b = A.sum(dim=0)
    return A @ W_ih, A @ W_hh, G_c * f, A.T @ x, A.T @ h_prev, G_b, G_b.clone()


# %% lstm_step_backward: took c(t) for c(t-1) in the gradient of the forget gate
def lstm_step_backward(G_h, G_c, x, h_prev, c_prev, W_ih, W_hh, b_ih, b_hh):
    a = x @ W_ih.T + b_ih + h_prev @ W_hh.T + b_hh
    i, f, g, o = a.chunk(4, dim=1)
    i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
    c = f * c_prev + i * g
    tanh_c = c.tanh()
    G_c = G_c + G_h * o * (1 - tanh_c**2)
    G_i, G_f, G_g, G_o = G_c * g, G_c * c, G_c * i, G_h * tanh_c
    A = torch.cat([G_i * i * (1 - i), G_f * f * (1 - f), G_g * (1 - g**2), G_o * o * (1 - o)], dim=1)
    G_b = A.sum(dim=0)
    return A @ W_ih, A @ W_hh, G_c * f, A.T @ x, A.T @ h_prev, G_b, G_b.clone()


# %% lstm_step_backward: gave one of the two biases no gradient
def lstm_step_backward(G_h, G_c, x, h_prev, c_prev, W_ih, W_hh, b_ih, b_hh):
    a = x @ W_ih.T + b_ih + h_prev @ W_hh.T + b_hh
    i, f, g, o = a.chunk(4, dim=1)
    i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
    tanh_c = (f * c_prev + i * g).tanh()
    G_c = G_c + G_h * o * (1 - tanh_c**2)
    G_i, G_f, G_g, G_o = G_c * g, G_c * c_prev, G_c * i, G_h * tanh_c
    A = torch.cat([G_i * i * (1 - i), G_f * f * (1 - f), G_g * (1 - g**2), G_o * o * (1 - o)], dim=1)
    G_b = A.sum(dim=0)
    return A @ W_ih, A @ W_hh, G_c * f, A.T @ x, A.T @ h_prev, G_b, torch.zeros_like(b_hh)


# %% lstm_step_backward: averaged over the batch, which belongs to the loss
def lstm_step_backward(G_h, G_c, x, h_prev, c_prev, W_ih, W_hh, b_ih, b_hh):
    a = x @ W_ih.T + b_ih + h_prev @ W_hh.T + b_hh
    i, f, g, o = a.chunk(4, dim=1)
    i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
    tanh_c = (f * c_prev + i * g).tanh()
    G_c = G_c + G_h * o * (1 - tanh_c**2)
    G_i, G_f, G_g, G_o = G_c * g, G_c * c_prev, G_c * i, G_h * tanh_c
    A = torch.cat([G_i * i * (1 - i), G_f * f * (1 - f), G_g * (1 - g**2), G_o * o * (1 - o)], dim=1)
    G_b = A.mean(dim=0)
    return A @ W_ih, A @ W_hh, G_c * f, A.T @ x / len(x), A.T @ h_prev / len(x), G_b, G_b.clone()


# %% lstm_backward: forgot the path through the cell state
def lstm_backward(G_H, G_c, X, h_0, c_0, W_ih, W_hh, b_ih, b_hh):
    weights = W_ih, W_hh, b_ih, b_hh
    states = [(h_0, c_0)]
    for x in X:
        states.append(lstm_step(x, *states[-1], *weights))
    G_X, G_h = torch.zeros_like(X), torch.zeros_like(h_0)
    sums = [torch.zeros_like(w) for w in weights]
    for t in reversed(range(len(X))):
        into_c = G_c if t == len(X) - 1 else torch.zeros_like(G_c)
        G_X[t], G_h, G_c_0, *grads = lstm_step_backward(G_H[t] + G_h, into_c, X[t], *states[t], *weights)
        sums = [total + g for total, g in zip(sums, grads)]
    return G_X, G_h, G_c_0, *sums


# %% lstm_backward: forgot the path through h from step to step
def lstm_backward(G_H, G_c, X, h_0, c_0, W_ih, W_hh, b_ih, b_hh):
    weights = W_ih, W_hh, b_ih, b_hh
    states = [(h_0, c_0)]
    for x in X:
        states.append(lstm_step(x, *states[-1], *weights))
    G_X = torch.zeros_like(X)
    sums = [torch.zeros_like(w) for w in weights]
    for t in reversed(range(len(X))):
        G_X[t], G_h, G_c, *grads = lstm_step_backward(G_H[t], G_c, X[t], *states[t], *weights)
        sums = [total + g for total, g in zip(sums, grads)]
    return G_X, G_h, G_c, *sums


# %% lstm_backward: counted the loss of the last step only
def lstm_backward(G_H, G_c, X, h_0, c_0, W_ih, W_hh, b_ih, b_hh):
    weights = W_ih, W_hh, b_ih, b_hh
    states = [(h_0, c_0)]
    for x in X:
        states.append(lstm_step(x, *states[-1], *weights))
    G_X, G_h = torch.zeros_like(X), G_H[-1]
    sums = [torch.zeros_like(w) for w in weights]
    for t in reversed(range(len(X))):
        G_X[t], G_h, G_c, *grads = lstm_step_backward(G_h, G_c, X[t], *states[t], *weights)
        sums = [total + g for total, g in zip(sums, grads)]
    return G_X, G_h, G_c, *sums


# %% lstm_backward: overwrote the gradients of the weights at each step, instead of adding
def lstm_backward(G_H, G_c, X, h_0, c_0, W_ih, W_hh, b_ih, b_hh):
    weights = W_ih, W_hh, b_ih, b_hh
    states = [(h_0, c_0)]
    for x in X:
        states.append(lstm_step(x, *states[-1], *weights))
    G_X, G_h = torch.zeros_like(X), torch.zeros_like(h_0)
    for t in reversed(range(len(X))):
        G_X[t], G_h, G_c, *grads = lstm_step_backward(G_H[t] + G_h, G_c, X[t], *states[t], *weights)
    return G_X, G_h, G_c, *grads


# %% lstm_backward: took the gradients of the weights from the last step only
def lstm_backward(G_H, G_c, X, h_0, c_0, W_ih, W_hh, b_ih, b_hh):
    weights = W_ih, W_hh, b_ih, b_hh
    states = [(h_0, c_0)]
    for x in X:
        states.append(lstm_step(x, *states[-1], *weights))
    G_X, G_h, last = torch.zeros_like(X), torch.zeros_like(h_0), None
    for t in reversed(range(len(X))):
        G_X[t], G_h, G_c, *grads = lstm_step_backward(G_H[t] + G_h, G_c, X[t], *states[t], *weights)
        last = last or grads
    return G_X, G_h, G_c, *last


# %% lstm_backward: took h(t) for h(t-1) in the gradient of W_hh
def lstm_backward(G_H, G_c, X, h_0, c_0, W_ih, W_hh, b_ih, b_hh):
    weights = W_ih, W_hh, b_ih, b_hh
    states = [(h_0, c_0)]
    for x in X:
        states.append(lstm_step(x, *states[-1], *weights))
    G_X, G_h = torch.zeros_like(X), torch.zeros_like(h_0)
    G_W_ih, G_W_hh, G_b = torch.zeros_like(W_ih), torch.zeros_like(W_hh), torch.zeros_like(b_ih)
    for t in reversed(range(len(X))):
        (h_prev, c_prev), (h, c) = states[t], states[t + 1]
        i, f, g, o = (X[t] @ W_ih.T + b_ih + h_prev @ W_hh.T + b_hh).chunk(4, dim=1)
        i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
        G_h = G_h + G_H[t]
        G_c = G_c + G_h * o * (1 - c.tanh() ** 2)
        A = [G_c * g * i * (1 - i), G_c * c_prev * f * (1 - f), G_c * i * (1 - g**2), G_h * c.tanh() * o * (1 - o)]
        A = torch.cat(A, dim=1)
        G_W_ih += A.T @ X[t]
        G_W_hh += A.T @ h
        G_b += A.sum(dim=0)
        G_X[t], G_h, G_c = A @ W_ih, A @ W_hh, G_c * f
    return G_X, G_h, G_c, G_W_ih, G_W_hh, G_b, G_b.clone()


# %% lstm_backward: ignored G_c: the gradient of the last cell state
def lstm_backward(G_H, G_c, X, h_0, c_0, W_ih, W_hh, b_ih, b_hh):
    weights = W_ih, W_hh, b_ih, b_hh
    states = [(h_0, c_0)]
    for x in X:
        states.append(lstm_step(x, *states[-1], *weights))
    G_X, G_h, g_c = torch.zeros_like(X), torch.zeros_like(h_0), torch.zeros_like(c_0)
    sums = [torch.zeros_like(w) for w in weights]
    for t in reversed(range(len(X))):
        G_X[t], G_h, g_c, *grads = lstm_step_backward(G_H[t] + G_h, g_c, X[t], *states[t], *weights)
        sums = [total + g for total, g in zip(sums, grads)]
    return G_X, G_h, g_c, *sums


# %% lstm_backward: gave the first states no gradient
def lstm_backward(G_H, G_c, X, h_0, c_0, W_ih, W_hh, b_ih, b_hh):
    weights = W_ih, W_hh, b_ih, b_hh
    states = [(h_0, c_0)]
    for x in X:
        states.append(lstm_step(x, *states[-1], *weights))
    G_X, G_h = torch.zeros_like(X), torch.zeros_like(h_0)
    sums = [torch.zeros_like(w) for w in weights]
    for t in reversed(range(len(X))):
        G_X[t], G_h, G_c, *grads = lstm_step_backward(G_H[t] + G_h, G_c, X[t], *states[t], *weights)
        sums = [total + g for total, g in zip(sums, grads)]
    return G_X, torch.zeros_like(h_0), torch.zeros_like(c_0), *sums


# %% lstm_backward: began with zeros for the first states
def lstm_backward(G_H, G_c, X, h_0, c_0, W_ih, W_hh, b_ih, b_hh):
    weights = W_ih, W_hh, b_ih, b_hh
    states = [(torch.zeros_like(h_0), torch.zeros_like(c_0))]
    for x in X:
        states.append(lstm_step(x, *states[-1], *weights))
    G_X, G_h = torch.zeros_like(X), torch.zeros_like(h_0)
    sums = [torch.zeros_like(w) for w in weights]
    for t in reversed(range(len(X))):
        G_X[t], G_h, G_c, *grads = lstm_step_backward(G_H[t] + G_h, G_c, X[t], *states[t], *weights)
        sums = [total + g for total, g in zip(sums, grads)]
    return G_X, G_h, G_c, *sums


# %% lstm_backward: gave one of the two biases no gradient
def lstm_backward(G_H, G_c, X, h_0, c_0, W_ih, W_hh, b_ih, b_hh):
    weights = W_ih, W_hh, b_ih, b_hh
    states = [(h_0, c_0)]
    for x in X:
        states.append(lstm_step(x, *states[-1], *weights))
    G_X, G_h = torch.zeros_like(X), torch.zeros_like(h_0)
    G_W_ih, G_W_hh, G_b_ih, G_b_hh = (torch.zeros_like(w) for w in weights)
    for t in reversed(range(len(X))):
        G_X[t], G_h, G_c, g_ih, g_hh, g_b, _ = lstm_step_backward(G_H[t] + G_h, G_c, X[t], *states[t], *weights)
        G_W_ih += g_ih
        G_W_hh += g_hh
        G_b_ih += g_b
    return G_X, G_h, G_c, G_W_ih, G_W_hh, G_b_ih, G_b_hh


# %% lstm_backward: averaged over the steps, where gradients add up
def lstm_backward(G_H, G_c, X, h_0, c_0, W_ih, W_hh, b_ih, b_hh):
    weights = W_ih, W_hh, b_ih, b_hh
    states = [(h_0, c_0)]
    for x in X:
        states.append(lstm_step(x, *states[-1], *weights))
    G_X, G_h = torch.zeros_like(X), torch.zeros_like(h_0)
    sums = [torch.zeros_like(w) for w in weights]
    for t in reversed(range(len(X))):
        G_X[t], G_h, G_c, *grads = lstm_step_backward(G_H[t] + G_h, G_c, X[t], *states[t], *weights)
        sums = [total + g / len(X) for total, g in zip(sums, grads)]
    return G_X, G_h, G_c, *sums


# %% embedding_backward: assigned instead of adding: only the last place of a repeated symbol counts
def embedding_backward(G, x, E):
    G_E = torch.zeros_like(E)
    for t in range(len(x)):
        for j in range(x.shape[1]):
            G_E[x[t, j]] = G[t, j]
    return G_E


# %% embedding_backward: averaged over the places of a symbol
def embedding_backward(G, x, E):
    G_E = torch.zeros_like(E)
    for v in x.unique():
        G_E[v] = G[x == v].mean(dim=0)
    return G_E


# %% embedding_backward: averaged over the batch, which belongs to the loss
def embedding_backward(G, x, E):
    return torch.zeros_like(E).index_add_(0, x.flatten(), G.flatten(0, 1)) / x.shape[1]


# %% embedding_backward: averaged over the steps, where gradients add up
def embedding_backward(G, x, E):
    return torch.zeros_like(E).index_add_(0, x.flatten(), G.flatten(0, 1)) / x.shape[0]


# %% embedding_backward: returned a gradient for each place, not for each symbol
def embedding_backward(G, x, E):
    return G.clone()


# %% embedding_backward: left out the symbols that do not occur
def embedding_backward(G, x, E):
    return torch.stack([G[x == v].sum(dim=0) for v in sorted(set(x.flatten().tolist()))])


# %% embedding_backward: counted how often a symbol occurs, without G
def embedding_backward(G, x, E):
    G_E = torch.zeros_like(E)
    for v in x.flatten():
        G_E[v] += 1
    return G_E


# %% char_rnn_backward: summed the loss over time instead of averaging it
def char_rnn_backward(X, y, P):
    names = [f"lstm.{name}_l0" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    weights = [P[name] for name in names]
    E = P["embedding.weight"][X]
    first = h = c = E.new_zeros(X.shape[1], weights[1].shape[1])
    H = []
    for e in E:
        h, c = lstm_step(e, h, c, *weights)
        H.append(h)
    H = torch.stack(H)
    log_p = (H @ P["head.weight"].T + P["head.bias"]).log_softmax(dim=2)
    Y = F.one_hot(y, log_p.shape[2])
    loss = -(Y * log_p).sum() / y.shape[1]
    G = (log_p.exp() - Y) / y.shape[1]
    grads = {"head.weight": G.flatten(0, 1).T @ H.flatten(0, 1), "head.bias": G.sum(dim=(0, 1))}
    G_E, _, _, *sums = lstm_backward(G @ P["head.weight"], torch.zeros_like(first), E, first, first, *weights)
    grads |= dict(zip(names, sums))
    grads["embedding.weight"] = embedding_backward(G_E, X, P["embedding.weight"])
    return loss, grads


# %% char_rnn_backward: summed the loss over time and batch instead of averaging it
def char_rnn_backward(X, y, P):
    names = [f"lstm.{name}_l0" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    weights = [P[name] for name in names]
    E = P["embedding.weight"][X]
    first = h = c = E.new_zeros(X.shape[1], weights[1].shape[1])
    H = []
    for e in E:
        h, c = lstm_step(e, h, c, *weights)
        H.append(h)
    H = torch.stack(H)
    log_p = (H @ P["head.weight"].T + P["head.bias"]).log_softmax(dim=2)
    Y = F.one_hot(y, log_p.shape[2])
    loss = -(Y * log_p).sum()
    G = log_p.exp() - Y
    grads = {"head.weight": G.flatten(0, 1).T @ H.flatten(0, 1), "head.bias": G.sum(dim=(0, 1))}
    G_E, _, _, *sums = lstm_backward(G @ P["head.weight"], torch.zeros_like(first), E, first, first, *weights)
    grads |= dict(zip(names, sums))
    grads["embedding.weight"] = embedding_backward(G_E, X, P["embedding.weight"])
    return loss, grads


# %% char_rnn_backward: counted the last step's loss only
def char_rnn_backward(X, y, P):
    names = [f"lstm.{name}_l0" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    weights = [P[name] for name in names]
    E = P["embedding.weight"][X]
    first = h = c = E.new_zeros(X.shape[1], weights[1].shape[1])
    H = []
    for e in E:
        h, c = lstm_step(e, h, c, *weights)
        H.append(h)
    H = torch.stack(H)
    log_p = (H @ P["head.weight"].T + P["head.bias"]).log_softmax(dim=2)
    Y = F.one_hot(y, log_p.shape[2])
    loss = -(Y * log_p)[-1].sum() / y.shape[1]
    G = torch.zeros_like(log_p)
    G[-1] = (log_p.exp() - Y)[-1] / y.shape[1]
    grads = {"head.weight": G.flatten(0, 1).T @ H.flatten(0, 1), "head.bias": G.sum(dim=(0, 1))}
    G_E, _, _, *sums = lstm_backward(G @ P["head.weight"], torch.zeros_like(first), E, first, first, *weights)
    grads |= dict(zip(names, sums))
    grads["embedding.weight"] = embedding_backward(G_E, X, P["embedding.weight"])
    return loss, grads


# %% char_rnn_backward: divided by T twice
def char_rnn_backward(X, y, P):
    names = [f"lstm.{name}_l0" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    weights = [P[name] for name in names]
    E = P["embedding.weight"][X]
    first = h = c = E.new_zeros(X.shape[1], weights[1].shape[1])
    H = []
    for e in E:
        h, c = lstm_step(e, h, c, *weights)
        H.append(h)
    H = torch.stack(H)
    log_p = (H @ P["head.weight"].T + P["head.bias"]).log_softmax(dim=2)
    Y = F.one_hot(y, log_p.shape[2])
    loss = -(Y * log_p).sum() / y.numel()
    G = (log_p.exp() - Y) / y.numel()
    grads = {"head.weight": G.flatten(0, 1).T @ H.flatten(0, 1), "head.bias": G.sum(dim=(0, 1))}
    G_E, _, _, *sums = lstm_backward(G @ P["head.weight"], torch.zeros_like(first), E, first, first, *weights)
    grads |= dict(zip(names, sums))
    grads["embedding.weight"] = embedding_backward(G_E, X, P["embedding.weight"])
    return loss, {name: g / len(X) for name, g in grads.items()}


# %% char_rnn_backward: compared with X, the symbol that is read, not with y
def char_rnn_backward(X, y, P):
    names = [f"lstm.{name}_l0" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    weights = [P[name] for name in names]
    E = P["embedding.weight"][X]
    first = h = c = E.new_zeros(X.shape[1], weights[1].shape[1])
    H = []
    for e in E:
        h, c = lstm_step(e, h, c, *weights)
        H.append(h)
    H = torch.stack(H)
    log_p = (H @ P["head.weight"].T + P["head.bias"]).log_softmax(dim=2)
    Y = F.one_hot(X, log_p.shape[2])
    loss = -(Y * log_p).sum() / y.numel()
    G = (log_p.exp() - Y) / y.numel()
    grads = {"head.weight": G.flatten(0, 1).T @ H.flatten(0, 1), "head.bias": G.sum(dim=(0, 1))}
    G_E, _, _, *sums = lstm_backward(G @ P["head.weight"], torch.zeros_like(first), E, first, first, *weights)
    grads |= dict(zip(names, sums))
    grads["embedding.weight"] = embedding_backward(G_E, X, P["embedding.weight"])
    return loss, grads


# %% char_rnn_backward: flattened y with the batch first, where the logits have time first
def char_rnn_backward(X, y, P):
    names = [f"lstm.{name}_l0" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    weights = [P[name] for name in names]
    E = P["embedding.weight"][X]
    first = h = c = E.new_zeros(X.shape[1], weights[1].shape[1])
    H = []
    for e in E:
        h, c = lstm_step(e, h, c, *weights)
        H.append(h)
    H = torch.stack(H)
    log_p = (H @ P["head.weight"].T + P["head.bias"]).log_softmax(dim=2)
    Y = F.one_hot(y.T.flatten(), log_p.shape[2]).reshape(log_p.shape)
    loss = -(Y * log_p).sum() / y.numel()
    G = (log_p.exp() - Y) / y.numel()
    grads = {"head.weight": G.flatten(0, 1).T @ H.flatten(0, 1), "head.bias": G.sum(dim=(0, 1))}
    G_E, _, _, *sums = lstm_backward(G @ P["head.weight"], torch.zeros_like(first), E, first, first, *weights)
    grads |= dict(zip(names, sums))
    grads["embedding.weight"] = embedding_backward(G_E, X, P["embedding.weight"])
    return loss, grads


# %% char_rnn_backward: took softmax over the batch, not over the symbols
def char_rnn_backward(X, y, P):
    names = [f"lstm.{name}_l0" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    weights = [P[name] for name in names]
    E = P["embedding.weight"][X]
    first = h = c = E.new_zeros(X.shape[1], weights[1].shape[1])
    H = []
    for e in E:
        h, c = lstm_step(e, h, c, *weights)
        H.append(h)
    H = torch.stack(H)
    log_p = (H @ P["head.weight"].T + P["head.bias"]).log_softmax(dim=1)
    Y = F.one_hot(y, log_p.shape[2])
    loss = -(Y * log_p).sum() / y.numel()
    G = (log_p.exp() * Y.sum(dim=1, keepdim=True) - Y) / y.numel()
    grads = {"head.weight": G.flatten(0, 1).T @ H.flatten(0, 1), "head.bias": G.sum(dim=(0, 1))}
    G_E, _, _, *sums = lstm_backward(G @ P["head.weight"], torch.zeros_like(first), E, first, first, *weights)
    grads |= dict(zip(names, sums))
    grads["embedding.weight"] = embedding_backward(G_E, X, P["embedding.weight"])
    return loss, grads


# %% char_rnn_backward: left out head.bias
def char_rnn_backward(X, y, P):
    names = [f"lstm.{name}_l0" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    weights = [P[name] for name in names]
    E = P["embedding.weight"][X]
    first = h = c = E.new_zeros(X.shape[1], weights[1].shape[1])
    H = []
    for e in E:
        h, c = lstm_step(e, h, c, *weights)
        H.append(h)
    H = torch.stack(H)
    log_p = (H @ P["head.weight"].T).log_softmax(dim=2)
    Y = F.one_hot(y, log_p.shape[2])
    loss = -(Y * log_p).sum() / y.numel()
    G = (log_p.exp() - Y) / y.numel()
    grads = {"head.weight": G.flatten(0, 1).T @ H.flatten(0, 1), "head.bias": torch.zeros_like(P["head.bias"])}
    G_E, _, _, *sums = lstm_backward(G @ P["head.weight"], torch.zeros_like(first), E, first, first, *weights)
    grads |= dict(zip(names, sums))
    grads["embedding.weight"] = embedding_backward(G_E, X, P["embedding.weight"])
    return loss, grads


# %% char_rnn_backward: gave one of the two biases of the LSTM no gradient
def char_rnn_backward(X, y, P):
    names = [f"lstm.{name}_l0" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    weights = [P[name] for name in names]
    E = P["embedding.weight"][X]
    first = h = c = E.new_zeros(X.shape[1], weights[1].shape[1])
    H = []
    for e in E:
        h, c = lstm_step(e, h, c, *weights)
        H.append(h)
    H = torch.stack(H)
    log_p = (H @ P["head.weight"].T + P["head.bias"]).log_softmax(dim=2)
    Y = F.one_hot(y, log_p.shape[2])
    loss = -(Y * log_p).sum() / y.numel()
    G = (log_p.exp() - Y) / y.numel()
    grads = {"head.weight": G.flatten(0, 1).T @ H.flatten(0, 1), "head.bias": G.sum(dim=(0, 1))}
    G_E, _, _, *sums = lstm_backward(G @ P["head.weight"], torch.zeros_like(first), E, first, first, *weights)
    grads |= dict(zip(names, sums))
    grads["embedding.weight"] = embedding_backward(G_E, X, P["embedding.weight"])
    grads["lstm.bias_hh_l0"] = torch.zeros_like(P["lstm.bias_hh_l0"])
    return loss, grads


# %% sample: multiplied by the temperature
def sample(logits, temperature, generator):
    return torch.multinomial((logits * temperature).softmax(dim=1), 1, generator=generator)[:, 0]


# %% sample: left out the temperature
def sample(logits, temperature, generator):
    p = logits.softmax(dim=1) / temperature
    return torch.multinomial(p, 1, generator=generator).squeeze(1)


# %% sample: took the most likely symbol
def sample(logits, temperature, generator):
    return (logits / temperature).softmax(dim=1).argmax(dim=1)


# %% sample: used one random number for all rows
def sample(logits, temperature, generator):
    p = (logits / temperature).softmax(dim=1)
    u = torch.rand((), generator=generator)
    return (p.cumsum(dim=1) < u).sum(dim=1)


# %% sample: gave the generator its first seed again
def sample(logits, temperature, generator):
    generator.manual_seed(0)
    return torch.multinomial((logits / temperature).softmax(dim=1), 1, generator=generator)[:, 0]


# %% sample: ignored the generator
def sample(logits, temperature, generator):
    return torch.multinomial((logits / temperature).softmax(dim=1), 1)[:, 0]


# %% gru_backward: reset before the product, as Cho et al. have it
def gru_backward(G, X, h_0, W_ih, W_hh, b_ih, b_hh):
    h, kept = h_0, []
    for x in X:
        a = x @ W_ih.T + b_ih
        (W_r, W_z, W_n), (b_r, b_z, b_n) = W_hh.chunk(3), b_hh.chunk(3)
        (a_r, a_z, a_n), c_r, c_z = a.chunk(3, dim=1), h @ W_r.T + b_r, h @ W_z.T + b_z
        r, z = (a_r + c_r).sigmoid(), (a_z + c_z).sigmoid()
        n = (a_n + (r * h) @ W_n.T + b_n).tanh()
        kept.append((h, r, z, n))
        h = (1 - z) * n + z * h
    G_X, G_W_ih, G_W_hh, G_b_ih, G_b_hh = (torch.zeros_like(w) for w in (X, W_ih, W_hh, b_ih, b_hh))
    g = torch.zeros_like(h_0)
    for t in reversed(range(len(X))):
        h, r, z, n = kept[t]
        g = G[t] + g
        D_n = g * (1 - z) * (1 - n**2)
        D_z = g * (h - n) * z * (1 - z)
        D_r = D_n @ W_n * h * r * (1 - r)
        A = torch.cat([D_r, D_z, D_n], dim=1)
        G_X[t] = A @ W_ih
        G_W_ih += A.T @ X[t]
        G_W_hh += torch.cat([D_r.T @ h, D_z.T @ h, D_n.T @ (r * h)])
        G_b_ih += A.sum(dim=0)
        G_b_hh += A.sum(dim=0)
        g = g * z + D_r @ W_r + D_z @ W_z + D_n @ W_n * r
    return G_X, g, G_W_ih, G_W_hh, G_b_ih, G_b_hh


# %% gru_backward: took z for 1 - z: h = z ∘ n + (1 - z) ∘ h
def gru_backward(G, X, h_0, W_ih, W_hh, b_ih, b_hh):
    h, kept = h_0, []
    for x in X:
        a, c = x @ W_ih.T + b_ih, h @ W_hh.T + b_hh
        (a_r, a_z, a_n), (c_r, c_z, c_n) = a.chunk(3, dim=1), c.chunk(3, dim=1)
        r, z = (a_r + c_r).sigmoid(), (a_z + c_z).sigmoid()
        n = (a_n + r * c_n).tanh()
        kept.append((h, r, z, n, c_n))
        h = z * n + (1 - z) * h
    G_X, G_W_ih, G_W_hh, G_b_ih, G_b_hh = (torch.zeros_like(w) for w in (X, W_ih, W_hh, b_ih, b_hh))
    g = torch.zeros_like(h_0)
    for t in reversed(range(len(X))):
        h, r, z, n, c_n = kept[t]
        g = G[t] + g
        D_n = g * z * (1 - n**2)
        D_z = g * (n - h) * z * (1 - z)
        D_r = D_n * c_n * r * (1 - r)
        A, C = torch.cat([D_r, D_z, D_n], dim=1), torch.cat([D_r, D_z, D_n * r], dim=1)
        G_X[t] = A @ W_ih
        G_W_ih += A.T @ X[t]
        G_W_hh += C.T @ h
        G_b_ih += A.sum(dim=0)
        G_b_hh += C.sum(dim=0)
        g = g * (1 - z) + C @ W_hh
    return G_X, g, G_W_ih, G_W_hh, G_b_ih, G_b_hh


# %% gru_backward: took the gates in the order z, r, n
def gru_backward(G, X, h_0, W_ih, W_hh, b_ih, b_hh):
    h, kept = h_0, []
    for x in X:
        a, c = x @ W_ih.T + b_ih, h @ W_hh.T + b_hh
        (a_z, a_r, a_n), (c_z, c_r, c_n) = a.chunk(3, dim=1), c.chunk(3, dim=1)
        r, z = (a_r + c_r).sigmoid(), (a_z + c_z).sigmoid()
        n = (a_n + r * c_n).tanh()
        kept.append((h, r, z, n, c_n))
        h = (1 - z) * n + z * h
    G_X, G_W_ih, G_W_hh, G_b_ih, G_b_hh = (torch.zeros_like(w) for w in (X, W_ih, W_hh, b_ih, b_hh))
    g = torch.zeros_like(h_0)
    for t in reversed(range(len(X))):
        h, r, z, n, c_n = kept[t]
        g = G[t] + g
        D_n = g * (1 - z) * (1 - n**2)
        D_z = g * (h - n) * z * (1 - z)
        D_r = D_n * c_n * r * (1 - r)
        A, C = torch.cat([D_z, D_r, D_n], dim=1), torch.cat([D_z, D_r, D_n * r], dim=1)
        G_X[t] = A @ W_ih
        G_W_ih += A.T @ X[t]
        G_W_hh += C.T @ h
        G_b_ih += A.sum(dim=0)
        G_b_hh += C.sum(dim=0)
        g = g * z + C @ W_hh
    return G_X, g, G_W_ih, G_W_hh, G_b_ih, G_b_hh


# %% gru_backward: forgot the reset gate's gradient
def gru_backward(G, X, h_0, W_ih, W_hh, b_ih, b_hh):
    h, kept = h_0, []
    for x in X:
        a, c = x @ W_ih.T + b_ih, h @ W_hh.T + b_hh
        (a_r, a_z, a_n), (c_r, c_z, c_n) = a.chunk(3, dim=1), c.chunk(3, dim=1)
        r, z = (a_r + c_r).sigmoid(), (a_z + c_z).sigmoid()
        n = (a_n + r * c_n).tanh()
        kept.append((h, r, z, n, c_n))
        h = (1 - z) * n + z * h
    G_X, G_W_ih, G_W_hh, G_b_ih, G_b_hh = (torch.zeros_like(w) for w in (X, W_ih, W_hh, b_ih, b_hh))
    g = torch.zeros_like(h_0)
    for t in reversed(range(len(X))):
        h, r, z, n, c_n = kept[t]
        g = G[t] + g
        D_n = g * (1 - z) * (1 - n**2)
        D_z = g * (h - n) * z * (1 - z)
        D_r = torch.zeros_like(r)
        A, C = torch.cat([D_r, D_z, D_n], dim=1), torch.cat([D_r, D_z, D_n * r], dim=1)
        G_X[t] = A @ W_ih
        G_W_ih += A.T @ X[t]
        G_W_hh += C.T @ h
        G_b_ih += A.sum(dim=0)
        G_b_hh += C.sum(dim=0)
        g = g * z + C @ W_hh
    return G_X, g, G_W_ih, G_W_hh, G_b_ih, G_b_hh


# %% gru_backward: gave W_hh and b_hh the gradient before the reset gate
def gru_backward(G, X, h_0, W_ih, W_hh, b_ih, b_hh):
    h, kept = h_0, []
    for x in X:
        a, c = x @ W_ih.T + b_ih, h @ W_hh.T + b_hh
        (a_r, a_z, a_n), (c_r, c_z, c_n) = a.chunk(3, dim=1), c.chunk(3, dim=1)
        r, z = (a_r + c_r).sigmoid(), (a_z + c_z).sigmoid()
        n = (a_n + r * c_n).tanh()
        kept.append((h, r, z, n, c_n))
        h = (1 - z) * n + z * h
    G_X, G_W_ih, G_W_hh, G_b_ih, G_b_hh = (torch.zeros_like(w) for w in (X, W_ih, W_hh, b_ih, b_hh))
    g = torch.zeros_like(h_0)
    for t in reversed(range(len(X))):
        h, r, z, n, c_n = kept[t]
        g = G[t] + g
        D_n = g * (1 - z) * (1 - n**2)
        D_z = g * (h - n) * z * (1 - z)
        D_r = D_n * c_n * r * (1 - r)
        A = C = torch.cat([D_r, D_z, D_n], dim=1)
        G_X[t] = A @ W_ih
        G_W_ih += A.T @ X[t]
        G_W_hh += C.T @ h
        G_b_ih += A.sum(dim=0)
        G_b_hh += C.sum(dim=0)
        g = g * z + C @ W_hh
    return G_X, g, G_W_ih, G_W_hh, G_b_ih, G_b_hh


# %% gru_backward: forgot the direct path from h(t-1) to h(t)
def gru_backward(G, X, h_0, W_ih, W_hh, b_ih, b_hh):
    h, kept = h_0, []
    for x in X:
        a, c = x @ W_ih.T + b_ih, h @ W_hh.T + b_hh
        (a_r, a_z, a_n), (c_r, c_z, c_n) = a.chunk(3, dim=1), c.chunk(3, dim=1)
        r, z = (a_r + c_r).sigmoid(), (a_z + c_z).sigmoid()
        n = (a_n + r * c_n).tanh()
        kept.append((h, r, z, n, c_n))
        h = (1 - z) * n + z * h
    G_X, G_W_ih, G_W_hh, G_b_ih, G_b_hh = (torch.zeros_like(w) for w in (X, W_ih, W_hh, b_ih, b_hh))
    g = torch.zeros_like(h_0)
    for t in reversed(range(len(X))):
        h, r, z, n, c_n = kept[t]
        g = G[t] + g
        D_n = g * (1 - z) * (1 - n**2)
        D_z = g * (h - n) * z * (1 - z)
        D_r = D_n * c_n * r * (1 - r)
        A, C = torch.cat([D_r, D_z, D_n], dim=1), torch.cat([D_r, D_z, D_n * r], dim=1)
        G_X[t] = A @ W_ih
        G_W_ih += A.T @ X[t]
        G_W_hh += C.T @ h
        G_b_ih += A.sum(dim=0)
        G_b_hh += C.sum(dim=0)
        g = C @ W_hh
    return G_X, g, G_W_ih, G_W_hh, G_b_ih, G_b_hh


# %% gru_backward: let nothing go back through time: each step stands alone
def gru_backward(G, X, h_0, W_ih, W_hh, b_ih, b_hh):
    h, kept = h_0, []
    for x in X:
        a, c = x @ W_ih.T + b_ih, h @ W_hh.T + b_hh
        (a_r, a_z, a_n), (c_r, c_z, c_n) = a.chunk(3, dim=1), c.chunk(3, dim=1)
        r, z = (a_r + c_r).sigmoid(), (a_z + c_z).sigmoid()
        n = (a_n + r * c_n).tanh()
        kept.append((h, r, z, n, c_n))
        h = (1 - z) * n + z * h
    G_X, G_W_ih, G_W_hh, G_b_ih, G_b_hh = (torch.zeros_like(w) for w in (X, W_ih, W_hh, b_ih, b_hh))
    g = torch.zeros_like(h_0)
    for t in reversed(range(len(X))):
        h, r, z, n, c_n = kept[t]
        g = G[t]
        D_n = g * (1 - z) * (1 - n**2)
        D_z = g * (h - n) * z * (1 - z)
        D_r = D_n * c_n * r * (1 - r)
        A, C = torch.cat([D_r, D_z, D_n], dim=1), torch.cat([D_r, D_z, D_n * r], dim=1)
        G_X[t] = A @ W_ih
        G_W_ih += A.T @ X[t]
        G_W_hh += C.T @ h
        G_b_ih += A.sum(dim=0)
        G_b_hh += C.sum(dim=0)
        g = g * z + C @ W_hh
    return G_X, g, G_W_ih, G_W_hh, G_b_ih, G_b_hh


# %% gru_backward: overwrote the gradients of the weights at each step, instead of adding
def gru_backward(G, X, h_0, W_ih, W_hh, b_ih, b_hh):
    h, kept = h_0, []
    for x in X:
        a, c = x @ W_ih.T + b_ih, h @ W_hh.T + b_hh
        (a_r, a_z, a_n), (c_r, c_z, c_n) = a.chunk(3, dim=1), c.chunk(3, dim=1)
        r, z = (a_r + c_r).sigmoid(), (a_z + c_z).sigmoid()
        n = (a_n + r * c_n).tanh()
        kept.append((h, r, z, n, c_n))
        h = (1 - z) * n + z * h
    G_X, g = torch.zeros_like(X), torch.zeros_like(h_0)
    for t in reversed(range(len(X))):
        h, r, z, n, c_n = kept[t]
        g = G[t] + g
        D_n = g * (1 - z) * (1 - n**2)
        D_z = g * (h - n) * z * (1 - z)
        D_r = D_n * c_n * r * (1 - r)
        A, C = torch.cat([D_r, D_z, D_n], dim=1), torch.cat([D_r, D_z, D_n * r], dim=1)
        G_X[t] = A @ W_ih
        G_W_ih = A.T @ X[t]
        G_W_hh = C.T @ h
        G_b_ih = A.sum(dim=0)
        G_b_hh = C.sum(dim=0)
        g = g * z + C @ W_hh
    return G_X, g, G_W_ih, G_W_hh, G_b_ih, G_b_hh


# %% gru_backward: gave the first state no gradient
def gru_backward(G, X, h_0, W_ih, W_hh, b_ih, b_hh):
    h, kept = h_0, []
    for x in X:
        a, c = x @ W_ih.T + b_ih, h @ W_hh.T + b_hh
        (a_r, a_z, a_n), (c_r, c_z, c_n) = a.chunk(3, dim=1), c.chunk(3, dim=1)
        r, z = (a_r + c_r).sigmoid(), (a_z + c_z).sigmoid()
        n = (a_n + r * c_n).tanh()
        kept.append((h, r, z, n, c_n))
        h = (1 - z) * n + z * h
    G_X, G_W_ih, G_W_hh, G_b_ih, G_b_hh = (torch.zeros_like(w) for w in (X, W_ih, W_hh, b_ih, b_hh))
    g = torch.zeros_like(h_0)
    for t in reversed(range(len(X))):
        h, r, z, n, c_n = kept[t]
        g = G[t] + g
        D_n = g * (1 - z) * (1 - n**2)
        D_z = g * (h - n) * z * (1 - z)
        D_r = D_n * c_n * r * (1 - r)
        A, C = torch.cat([D_r, D_z, D_n], dim=1), torch.cat([D_r, D_z, D_n * r], dim=1)
        G_X[t] = A @ W_ih
        G_W_ih += A.T @ X[t]
        G_W_hh += C.T @ h
        G_b_ih += A.sum(dim=0)
        G_b_hh += C.sum(dim=0)
        g = g * z + C @ W_hh
    return G_X, torch.zeros_like(h_0), G_W_ih, G_W_hh, G_b_ih, G_b_hh


# %% gru_backward: gave b_hh the gradient of b_ih
def gru_backward(G, X, h_0, W_ih, W_hh, b_ih, b_hh):
    h, kept = h_0, []
    for x in X:
        a, c = x @ W_ih.T + b_ih, h @ W_hh.T + b_hh
        (a_r, a_z, a_n), (c_r, c_z, c_n) = a.chunk(3, dim=1), c.chunk(3, dim=1)
        r, z = (a_r + c_r).sigmoid(), (a_z + c_z).sigmoid()
        n = (a_n + r * c_n).tanh()
        kept.append((h, r, z, n, c_n))
        h = (1 - z) * n + z * h
    G_X, G_W_ih, G_W_hh, G_b_ih, G_b_hh = (torch.zeros_like(w) for w in (X, W_ih, W_hh, b_ih, b_hh))
    g = torch.zeros_like(h_0)
    for t in reversed(range(len(X))):
        h, r, z, n, c_n = kept[t]
        g = G[t] + g
        D_n = g * (1 - z) * (1 - n**2)
        D_z = g * (h - n) * z * (1 - z)
        D_r = D_n * c_n * r * (1 - r)
        A, C = torch.cat([D_r, D_z, D_n], dim=1), torch.cat([D_r, D_z, D_n * r], dim=1)
        G_X[t] = A @ W_ih
        G_W_ih += A.T @ X[t]
        G_W_hh += C.T @ h
        G_b_ih += A.sum(dim=0)
        G_b_hh += A.sum(dim=0)
        g = g * z + C @ W_hh
    return G_X, g, G_W_ih, G_W_hh, G_b_ih, G_b_hh


# %% truncated_backward: began each block with zeros: the state was not carried
def truncated_backward(G, X, z_0, W_xz, W_zz, b_1, s):
    Z, sums, z = [], [torch.zeros_like(w) for w in (W_xz, W_zz, b_1)], z_0
    for g, block in zip(G.split(s), X.split(s)):
        _, _, *grads = rnn_backward(g, block, z, W_xz, W_zz, b_1)
        sums = [total + grad for total, grad in zip(sums, grads)]
        for x in block:
            z = rnn_step(x, z, W_xz, W_zz, b_1)
            Z.append(z)
        z = torch.zeros_like(z)
    return torch.stack(Z), *sums


# %% truncated_backward: began each block with z(0): the state was not carried
def truncated_backward(G, X, z_0, W_xz, W_zz, b_1, s):
    Z, sums = [], [torch.zeros_like(w) for w in (W_xz, W_zz, b_1)]
    for g, block in zip(G.split(s), X.split(s)):
        z = z_0
        _, _, *grads = rnn_backward(g, block, z, W_xz, W_zz, b_1)
        sums = [total + grad for total, grad in zip(sums, grads)]
        for x in block:
            z = rnn_step(x, z, W_xz, W_zz, b_1)
            Z.append(z)
    return torch.stack(Z), *sums


# %% truncated_backward: let the gradient go back into the block before: the state was not detached
def truncated_backward(G, X, z_0, W_xz, W_zz, b_1, s):
    Z, z = [], z_0
    for x in X:
        z = rnn_step(x, z, W_xz, W_zz, b_1)
        Z.append(z)
    return torch.stack(Z), *rnn_backward(G, X, z_0, W_xz, W_zz, b_1)[2:]


# %% truncated_backward: cut the gradient at every step
def truncated_backward(G, X, z_0, W_xz, W_zz, b_1, s):
    Z, sums, z = [], [torch.zeros_like(w) for w in (W_xz, W_zz, b_1)], z_0
    for t in range(len(X)):
        _, _, *grads = rnn_backward(G[t : t + 1], X[t : t + 1], z, W_xz, W_zz, b_1)
        sums = [total + grad for total, grad in zip(sums, grads)]
        z = rnn_step(X[t], z, W_xz, W_zz, b_1)
        Z.append(z)
    return torch.stack(Z), *sums


# %% truncated_backward: kept the last block's gradients only
def truncated_backward(G, X, z_0, W_xz, W_zz, b_1, s):
    Z, z = [], z_0
    for g, block in zip(G.split(s), X.split(s)):
        _, _, *grads = rnn_backward(g, block, z, W_xz, W_zz, b_1)
        for x in block:
            z = rnn_step(x, z, W_xz, W_zz, b_1)
            Z.append(z)
    return torch.stack(Z), *grads


# %% truncated_backward: kept the first block's gradients only
def truncated_backward(G, X, z_0, W_xz, W_zz, b_1, s):
    Z, z = [], z_0
    for x in X:
        z = rnn_step(x, z, W_xz, W_zz, b_1)
        Z.append(z)
    return torch.stack(Z), *rnn_backward(G[:s], X[:s], z_0, W_xz, W_zz, b_1)[2:]


# %% truncated_backward: averaged over the blocks, where gradients add up
def truncated_backward(G, X, z_0, W_xz, W_zz, b_1, s):
    Z, sums, z = [], [torch.zeros_like(w) for w in (W_xz, W_zz, b_1)], z_0
    for g, block in zip(G.split(s), X.split(s)):
        _, _, *grads = rnn_backward(g, block, z, W_xz, W_zz, b_1)
        sums = [total + grad for total, grad in zip(sums, grads)]
        for x in block:
            z = rnn_step(x, z, W_xz, W_zz, b_1)
            Z.append(z)
    return torch.stack(Z), *[total / math.ceil(len(X) / s) for total in sums]
