"""Right answers of the lab `reinforcement` in the many ways that people write them: each must earn all points.

A cell's title is `question: how it is written`; it runs after all solutions of the lab, in their namespace.
"""
# ruff: noqa: F811, F821


# %% value_iteration: a fixed number of sweeps
def value_iteration(P, R, terminal, gamma):
    V = torch.zeros(len(R))
    for _ in range(500):
        Q = R + gamma * P @ V
        Q[terminal] = 0
        V = Q.max(dim=1).values
    return Q, V


# %% value_iteration: einsum, from random values
def value_iteration(P, R, terminal, gamma):
    V, change = torch.rand(len(R)), 1.0
    while change > 1e-9:
        Q = (R + gamma * torch.einsum("sat,t->sa", P, V)) * ~terminal[:, None]
        change = (Q.max(dim=1).values - V).abs().max()
        V = Q.max(dim=1).values
    return Q, V


# %% value_iteration: Python loops over the states, in place
def value_iteration(P, R, terminal, gamma):
    n, A = R.shape
    Q, V = torch.zeros(n, A), torch.zeros(n)
    for _ in range(150):
        for s in range(n):
            if not terminal[s]:
                Q[s] = R[s] + gamma * (P[s] @ V)
                V[s] = Q[s].max()
    return Q, V


# %% value_iteration: numpy
def value_iteration(P, R, terminal, gamma):
    P, R, going = P.numpy(), R.numpy(), 1 - terminal.numpy()
    V = np.zeros(len(R))
    for _ in range(400):
        Q = going[:, None] * (R + gamma * P @ V)
        V = Q.max(axis=1)
    return Q, V


# %% value_iteration: the model changed first, so that the end leads nowhere
def value_iteration(P, R, terminal, gamma):
    P, R = P.clone(), R.clone()
    P[terminal], R[terminal] = 0, 0
    V = torch.zeros(len(R))
    for _ in range(400):
        V = (R + gamma * (P * V).sum(dim=2)).amax(dim=1)
    return R + gamma * (P * V).sum(dim=2), V


# %% value_iteration: policy iteration
def value_iteration(P, R, terminal, gamma):
    n = len(R)
    going = (~terminal).double()
    pi = torch.zeros(n, dtype=torch.long)
    for _ in range(100):
        rows = torch.arange(n)
        M = torch.eye(n) - gamma * going[:, None] * P[rows, pi]
        V = torch.linalg.solve(M, going * R[rows, pi])
        Q = going[:, None] * (R + gamma * P @ V)
        pi = Q.argmax(dim=1)
    return Q, Q.max(dim=1).values


# %% epsilon_greedy: multinomial over equal weights
def epsilon_greedy(Q, epsilon, generator):
    best = (Q == Q.max(dim=1, keepdim=True).values).double()
    p = (1 - epsilon) * best / best.sum(dim=1, keepdim=True) + epsilon / Q.shape[1]
    return torch.multinomial(p, 1, generator=generator).squeeze(1)


# %% epsilon_greedy: a permutation of the columns breaks ties
def epsilon_greedy(Q, epsilon, generator):
    m, A = Q.shape
    order = torch.rand(m, A, generator=generator).argsort(dim=1)
    greedy = order.gather(1, Q.gather(1, order).argmax(dim=1, keepdim=True))[:, 0]
    explore = torch.rand(m, generator=generator) < epsilon
    return torch.where(explore, (torch.rand(m, generator=generator) * A).long(), greedy)


# %% epsilon_greedy: assigned where the coin says so
def epsilon_greedy(Q, epsilon, generator):
    m, A = Q.shape
    noise = torch.rand(Q.shape, generator=generator)
    a = (noise * (Q >= Q.amax(dim=1, keepdim=True))).argmax(dim=1)
    coin = torch.rand(m, generator=generator) <= epsilon if epsilon > 0 else torch.zeros(m, dtype=torch.bool)
    a[coin] = torch.randint(0, A, (int(coin.sum()),), generator=generator)
    return a


# %% epsilon_greedy: numpy, seeded from the generator
def epsilon_greedy(Q, epsilon, generator):
    source = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
    Q = Q.numpy()
    m, A = Q.shape
    ties = Q == Q.max(axis=1, keepdims=True)
    greedy = (ties * source.uniform(0.1, 1, (m, A))).argmax(axis=1)
    return np.where(source.random(m) < epsilon, source.integers(0, A, m), greedy)


# %% epsilon_greedy: row by row, a list of integers
def epsilon_greedy(Q, epsilon, generator):
    source = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
    chosen, A = [], Q.shape[1]
    for row in Q.tolist():
        if source.random() < epsilon:
            chosen.append(int(source.integers(A)))
        else:
            top = max(row)
            chosen.append(int(source.choice([a for a in range(A) if row[a] == top])))
    return chosen


# %% q_update: the slide's first form
def q_update(Q, s, a, r, s_next, terminated, alpha, gamma):
    Q = Q.clone()
    ahead = 0.0 if terminated else Q[s_next].max().item()
    Q[s, a] = (1 - alpha) * Q[s, a] + alpha * (r + gamma * ahead)
    return Q


# %% q_update: times (1 - terminated)
def q_update(Q, s, a, r, s_next, terminated, alpha, gamma):
    delta = r + gamma * (1 - terminated) * Q[s_next].amax() - Q[s, a]
    change = torch.zeros_like(Q)
    change[s, a] = alpha * delta
    return Q + change


# %% q_update: numpy
def q_update(Q, s, a, r, s_next, terminated, alpha, gamma):
    Q = np.array(Q)
    Q[s, a] += alpha * (r + gamma * (not terminated) * np.max(Q[s_next]) - Q[s, a])
    return Q


# %% q_update: nested lists
def q_update(Q, s, a, r, s_next, terminated, alpha, gamma):
    table = [list(row) for row in Q.tolist()]
    y = r + (0 if terminated else gamma * max(table[s_next]))
    table[s][a] += alpha * (y - table[s][a])
    return table


# %% q_update: float32, index_put
def q_update(Q, s, a, r, s_next, terminated, alpha, gamma):
    Q = Q.float()
    y = torch.tensor(r, dtype=torch.float32) + (0.0 if terminated else gamma * torch.max(Q[s_next]))
    place = (torch.tensor([s]), torch.tensor([a]))
    return Q.index_put(place, (Q[s, a] + alpha * (y - Q[s, a])).reshape(1))


# %% linear_q_step: an outer product with the unit vector of the action
def linear_q_step(theta, phi, a, r, phi_next, terminated, alpha, gamma):
    y = r + (0.0 if terminated else gamma * torch.max(theta @ phi_next))
    unit = torch.eye(len(theta))[a]
    return theta + alpha * (y - (theta @ phi)[a]) * torch.outer(unit, phi)


# %% linear_q_step: down the gradient of a squared error
def linear_q_step(theta, phi, a, r, phi_next, terminated, alpha, gamma):
    y = r + gamma * (1 - int(terminated)) * (theta @ phi_next).amax()
    gradient = torch.zeros_like(theta)
    gradient[a] = -(y - theta[a].dot(phi)) * phi
    return theta - alpha * gradient


# %% linear_q_step: numpy
def linear_q_step(theta, phi, a, r, phi_next, terminated, alpha, gamma):
    theta, phi, phi_next = np.array(theta), phi.numpy(), phi_next.numpy()
    y = r if terminated else r + gamma * np.max(theta @ phi_next)
    theta[a] = theta[a] + alpha * (y - theta[a] @ phi) * phi
    return theta


# %% linear_q_step: float32
def linear_q_step(theta, phi, a, r, phi_next, terminated, alpha, gamma):
    theta, phi, phi_next = theta.float().clone(), phi.float(), phi_next.float()
    Q_next = theta @ phi_next
    theta[a] += alpha * (r + gamma * Q_next.max() * (not terminated) - theta[a] @ phi) * phi
    return theta


# %% linear_q_step: row by row
def linear_q_step(theta, phi, a, r, phi_next, terminated, alpha, gamma):
    values = [(row * phi_next).sum().item() for row in theta]
    y = r if terminated else r + gamma * max(values)
    correction = y - (theta[a] * phi).sum()
    return torch.stack([row + alpha * correction * phi if i == a else row for i, row in enumerate(theta)])


# %% dqn_targets: gather, times (1 - terminated)
def dqn_targets(r, terminated, truncated, Q_target, Q_online, gamma, double):
    if double:
        ahead = Q_target.gather(1, Q_online.argmax(dim=1, keepdim=True)).squeeze(1)
    else:
        ahead = Q_target.max(dim=1).values
    return r + gamma * ahead * (1 - terminated.double())


# %% dqn_targets: one-hot rows
def dqn_targets(r, terminated, truncated, Q_target, Q_online, gamma, double):
    chooser = Q_online if double else Q_target
    one_hot = F.one_hot(chooser.argmax(dim=1), chooser.shape[1])
    return r + gamma * (one_hot * Q_target).sum(dim=1) * ~terminated


# %% dqn_targets: a loop over the batch
def dqn_targets(r, terminated, truncated, Q_target, Q_online, gamma, double):
    y = []
    for i in range(len(r)):
        best = int((Q_online if double else Q_target)[i].argmax())
        y.append(float(r[i]) if terminated[i] else float(r[i] + gamma * Q_target[i, best]))
    return torch.tensor(y)


# %% dqn_targets: numpy
def dqn_targets(r, terminated, truncated, Q_target, Q_online, gamma, double):
    best = np.argmax(Q_online.numpy() if double else Q_target.numpy(), axis=1)
    ahead = Q_target.numpy()[np.arange(len(r)), best]
    return np.where(terminated.numpy(), r.numpy(), r.numpy() + gamma * ahead)


# %% dqn_targets: assigned where it goes on
def dqn_targets(r, terminated, truncated, Q_target, Q_online, gamma, double):
    y = r.clone()
    on = ~terminated
    best = Q_online[on].argmax(1) if double else Q_target[on].argmax(1)
    y[on] += gamma * Q_target[on][torch.arange(int(on.sum())), best]
    return y


# %% dqn_targets: float32, masked_fill
def dqn_targets(r, terminated, truncated, Q_target, Q_online, gamma, double):
    ahead = torch.take_along_dim(Q_target, (Q_online if double else Q_target).argmax(1)[:, None], 1)[:, 0]
    return r.float() + gamma * ahead.float().masked_fill(terminated, 0.0)


# %% huber_gradient: torch's own loss, the gradient by cases
def huber_gradient(u, delta):
    loss = F.huber_loss(u, torch.zeros_like(u), delta=delta)
    return loss, torch.where(u.abs() < delta, u, delta * u.sign()) / len(u)


# %% huber_gradient: from the part that is cut off
def huber_gradient(u, delta):
    cut = u.clamp(-delta, delta)
    return (cut * (u - cut / 2)).mean(), cut / u.numel()


# %% huber_gradient: smooth_l1 times δ
def huber_gradient(u, delta):
    loss = delta * F.smooth_l1_loss(u, 0 * u, beta=delta)
    return loss, torch.maximum(torch.minimum(u, torch.tensor(delta)), torch.tensor(-delta)) / len(u)


# %% huber_gradient: numpy
def huber_gradient(u, delta):
    u = u.numpy()
    small = np.abs(u) <= delta
    loss = np.where(small, 0.5 * u**2, delta * (np.abs(u) - 0.5 * delta)).mean()
    return loss, np.clip(u, -delta, delta) / u.size


# %% huber_gradient: Python numbers in lists
def huber_gradient(u, delta):
    m, losses, G = len(u), [], []
    for v in u.tolist():
        inside = abs(v) <= delta
        losses.append(v * v / 2 if inside else delta * (abs(v) - delta / 2))
        G.append((v if inside else math.copysign(delta, v)) / m)
    return sum(losses) / m, G


# %% huber_gradient: float32
def huber_gradient(u, delta):
    u = u.float()
    loss = torch.where(u.abs() <= delta, u.square() / 2, delta * u.abs() - delta**2 / 2).sum() / len(u)
    return loss, u.clip(-delta, delta).div(len(u))


# %% dqn_gradient: one-hot actions
def dqn_gradient(S, a, r, S_next, terminated, truncated, Ws, bs, Ws_target, bs_target, gamma, delta):
    (W_1, W_2), (b_1, b_2) = Ws, bs
    Q_next = torch.relu(S_next @ Ws_target[0].T + bs_target[0]) @ Ws_target[1].T + bs_target[1]
    y = r + gamma * Q_next.max(dim=1).values * ~terminated
    A = S @ W_1.T + b_1
    H = torch.relu(A)
    taken = F.one_hot(a, len(b_2)).double()
    u = ((H @ W_2.T + b_2) * taken).sum(dim=1) - y
    G = taken * (u.clamp(-delta, delta) / len(u))[:, None]
    D = (G @ W_2) * (A > 0)
    loss = F.huber_loss(u, torch.zeros_like(u), delta=delta)
    return loss, [D.T @ S, G.T @ H], [D.sum(0), G.sum(0)]


# %% dqn_gradient: example by example
def dqn_gradient(S, a, r, S_next, terminated, truncated, Ws, bs, Ws_target, bs_target, gamma, delta):
    g_Ws, g_bs, loss, m = [torch.zeros_like(W) for W in Ws], [torch.zeros_like(b) for b in bs], 0.0, len(a)
    for i in range(m):
        y = r[i].item()
        if not terminated[i]:
            h = (Ws_target[0] @ S_next[i] + bs_target[0]).clamp(min=0)
            y += gamma * (Ws_target[1] @ h + bs_target[1]).max().item()
        h = (Ws[0] @ S[i] + bs[0]).clamp(min=0)
        u = (Ws[1][a[i]] @ h + bs[1][a[i]]).item() - y
        loss += (u * u / 2 if abs(u) <= delta else delta * (abs(u) - delta / 2)) / m
        g = max(-delta, min(delta, u)) / m
        g_Ws[1][a[i]] += g * h
        g_bs[1][a[i]] += g
        d = g * Ws[1][a[i]] * (h > 0)
        g_Ws[0] += torch.outer(d, S[i])
        g_bs[0] += d
    return loss, g_Ws, g_bs


# %% dqn_gradient: numpy
def dqn_gradient(S, a, r, S_next, terminated, truncated, Ws, bs, Ws_target, bs_target, gamma, delta):
    S, a, r, S_next, end = (x.numpy() for x in (S, a, r, S_next, terminated))
    (W1, W2), (b1, b2) = [W.numpy() for W in Ws], [b.numpy() for b in bs]
    Q_next = np.maximum(S_next @ Ws_target[0].numpy().T + bs_target[0].numpy(), 0) @ Ws_target[1].numpy().T
    y = r + gamma * (Q_next + bs_target[1].numpy()).max(axis=1) * (1 - end)
    H = np.maximum(S @ W1.T + b1, 0)
    Q = H @ W2.T + b2
    u = Q[np.arange(len(a)), a] - y
    G = np.zeros_like(Q)
    G[np.arange(len(a)), a] = np.clip(u, -delta, delta) / len(a)
    D = G @ W2 * (H > 0)
    loss = np.where(np.abs(u) <= delta, u**2 / 2, delta * (np.abs(u) - delta / 2)).mean()
    return loss, [D.T @ S, G.T @ H], [D.sum(axis=0), G.sum(axis=0)]


# %% dqn_gradient: scatter, a dict
def dqn_gradient(S, a, r, S_next, terminated, truncated, Ws, bs, Ws_target, bs_target, gamma, delta):
    def forward(S, Ws, bs):
        H = F.relu(F.linear(S, Ws[0], bs[0]))
        return H, F.linear(H, Ws[1], bs[1])

    _, Q_next = forward(S_next, Ws_target, bs_target)
    y = dqn_targets(r, terminated, truncated, Q_next, Q_next, gamma, 0)
    H, Q = forward(S, Ws, bs)
    loss, g = huber_gradient(Q.gather(1, a[:, None])[:, 0] - y, delta)
    G = torch.zeros_like(Q).scatter(1, a[:, None], g[:, None])
    D = torch.where(H > 0, G @ Ws[1], torch.zeros_like(H))
    return {"loss": loss, "g_Ws": [D.T @ S, G.T @ H], "g_bs": [D.sum(0), G.sum(0)]}


# %% dqn_gradient: float32, einsum
def dqn_gradient(S, a, r, S_next, terminated, truncated, Ws, bs, Ws_target, bs_target, gamma, delta):
    S, S_next, r = S.float(), S_next.float(), r.float()
    Ws, bs, Ws_target, bs_target = ([w.float() for w in list_] for list_ in (Ws, bs, Ws_target, bs_target))
    Q_next = (S_next @ Ws_target[0].T + bs_target[0]).relu() @ Ws_target[1].T + bs_target[1]
    y = torch.where(terminated, r, r + gamma * Q_next.amax(1))
    H = (S @ Ws[0].T + bs[0]).relu()
    Q = H @ Ws[1].T + bs[1]
    loss, g = huber_gradient(Q[range(len(a)), a] - y, delta)
    G_H = g[:, None] * Ws[1][a] * (H > 0)
    g_W_2 = torch.zeros_like(Ws[1]).index_add(0, a, g[:, None] * H)
    g_b_2 = torch.zeros_like(bs[1]).index_add(0, a, g)
    return loss, [torch.einsum("mh,mn->hn", G_H, S), g_W_2], [G_H.sum(0), g_b_2]


# %% ReplayBuffer: a deque of rows, stacked when drawn
from collections import deque


class ReplayBuffer:
    def __init__(self, capacity, n):
        self.rows = deque(maxlen=capacity)

    def add(self, *fields):
        for row in zip(*fields):
            self.rows.append(tuple(value.clone() for value in row))

    def sample(self, m, generator):
        i = torch.randint(len(self.rows), (m,), generator=generator).tolist()
        return tuple(torch.stack(field) for field in zip(*(self.rows[k] for k in i)))

    def __len__(self):
        return len(self.rows)


# %% ReplayBuffer: one matrix, row by row
class ReplayBuffer:
    def __init__(self, capacity, n):
        self.n, self.M, self.count = n, torch.zeros(capacity, 2 * n + 4), 0

    def add(self, S, a, r, S_next, terminated, truncated):
        for s, b, q, s_next, end, cut in zip(S, a, r, S_next, terminated, truncated):
            row = torch.cat([s, s_next, torch.tensor([b, q, end, cut], dtype=s.dtype)])
            self.M[self.count % len(self.M)] = row
            self.count += 1

    def sample(self, m, generator):
        M = self.M[torch.randint(len(self), (m,), generator=generator)]
        s, s_next, (a, r, end, cut) = M[:, : self.n], M[:, self.n : 2 * self.n], M[:, 2 * self.n :].T
        return s.clone(), a.long(), r.clone(), s_next.clone(), end.bool(), cut.bool()

    def __len__(self):
        return min(self.count, len(self.M))


# %% ReplayBuffer: concatenated, and cut at the capacity
class ReplayBuffer:
    def __init__(self, capacity, n):
        self.capacity, self.fields = capacity, None

    def add(self, *fields):
        old = self.fields or [field[:0] for field in fields]
        self.fields = [torch.cat([o, field])[-self.capacity :] for o, field in zip(old, fields)]

    def sample(self, m, generator):
        i = (torch.rand(m, generator=generator) * len(self)).long()
        return [field[i] for field in self.fields]

    def __len__(self):
        return 0 if self.fields is None else len(self.fields[0])


# %% ReplayBuffer: numpy, float32
class ReplayBuffer:
    def __init__(self, capacity, n):
        shapes = (n,), (), (), (n,), (), ()
        self.fields = [np.zeros((capacity, *shape), dtype=np.float32) for shape in shapes]
        self.capacity, self.at, self.full = capacity, 0, False

    def add(self, *fields):
        k = len(fields[1])
        rows = np.arange(self.at, self.at + k) % self.capacity
        for kept, new in zip(self.fields, fields):
            kept[rows] = np.asarray(new)
        self.full = self.full or self.at + k >= self.capacity
        self.at = (self.at + k) % self.capacity

    def sample(self, m, generator):
        i = torch.randint(len(self), (m,), generator=generator).numpy()
        return tuple(field[i] for field in self.fields)

    def __len__(self):
        return self.capacity if self.full else self.at


# %% ReplayBuffer: a dict of tensors, multinomial, newest first
class ReplayBuffer:
    NAMES = ("S", "a", "r", "S_next", "terminated", "truncated")

    def __init__(self, capacity, n):
        self.capacity, self.kept = capacity, {}

    def add(self, *fields):
        for name, field in zip(self.NAMES, fields):
            old = self.kept.get(name, field[:0])
            self.kept[name] = torch.cat([field.flip(0), old])[: self.capacity]

    def sample(self, m, generator):
        i = torch.multinomial(torch.ones(len(self)), m, replacement=True, generator=generator)
        return {name: self.kept[name][i] for name in self.NAMES}

    def __len__(self):
        return len(self.kept.get("r", ()))


# %% train_dqn: the solution's shape, the target copied every 300 updates
def train_dqn(env, seed):
    generator = torch.Generator().manual_seed(seed)
    h, gamma, steps = 128, 0.98, 6000
    W_1, b_1 = torch.randn(h, 4, generator=generator) / 2, torch.randn(h, generator=generator) / 2
    W_2, b_2 = torch.randn(2, h, generator=generator) / 100, torch.full((2,), 0.1 / (1 - gamma))
    P = [W_1, W_2, b_1, b_2]
    target, best, most = P, P, 0
    moments = [(torch.zeros_like(w), torch.zeros_like(w)) for w in P]
    buffer, t = ReplayBuffer(50_000, 4), 0

    def q(S, P):
        return (S @ P[0].T + P[2]).clamp(min=0) @ P[1].T + P[3]

    def greedy_return(P):
        S, up, total = env.reset(), torch.ones(16, dtype=torch.bool), 0
        while up.any():
            S, _, terminated, truncated = env.step(q(S, P).argmax(1))
            total += int(up.sum())
            up &= ~(terminated | truncated)
        return total

    S, real = env.reset(), torch.ones(16, dtype=torch.bool)
    for step in range(1, steps + 1):
        a = epsilon_greedy(q(S, P), max(0.15, 1 - step / (0.3 * steps)), generator)
        S_next, r, terminated, truncated = env.step(a)
        buffer.add(*(field[real] for field in (S, a, 0.1 * r, S_next, terminated, truncated)))
        S, real = S_next, ~(terminated | truncated)
        alpha = 0.002 * (1 + math.cos(math.pi * step / steps)) / 2
        for _ in range(2 * (step > 50)):
            batch, t = buffer.sample(128, generator), t + 1
            _, g_Ws, g_bs = dqn_gradient(*batch, P[:2], P[2:], target[:2], target[2:], gamma, 1.0)
            moved = [adam_step(w, g, m, v, t, alpha) for w, g, (m, v) in zip(P, g_Ws + g_bs, moments)]
            P, moments = [w for w, _, _ in moved], [(m, v) for _, m, v in moved]
            target = P if t % 300 == 0 else target
        if step % 200 == 0:
            reached = greedy_return(P)
            if reached >= most:
                best, most = P, reached
            S, real = env.reset(), torch.ones(16, dtype=torch.bool)
    return best[:2], best[2:]


# %% train_dqn: two hundred units
def train_dqn(env, seed):
    generator = torch.Generator().manual_seed(seed)
    h, gamma, steps = 200, 0.98, 6000
    W_1, b_1 = torch.randn(h, 4, generator=generator) / 2, torch.randn(h, generator=generator) / 2
    W_2, b_2 = torch.randn(2, h, generator=generator) / 100, torch.full((2,), 0.1 / (1 - gamma))
    P = [W_1, W_2, b_1, b_2]
    target, best, most = P, P, 0
    moments = [(torch.zeros_like(w), torch.zeros_like(w)) for w in P]
    buffer, t = ReplayBuffer(50_000, 4), 0

    def q(S, P):
        return (S @ P[0].T + P[2]).clamp(min=0) @ P[1].T + P[3]

    def greedy_return(P):
        S, up, total = env.reset(), torch.ones(16, dtype=torch.bool), 0
        while up.any():
            S, _, terminated, truncated = env.step(q(S, P).argmax(1))
            total += int(up.sum())
            up &= ~(terminated | truncated)
        return total

    S, real = env.reset(), torch.ones(16, dtype=torch.bool)
    for step in range(1, steps + 1):
        a = epsilon_greedy(q(S, P), max(0.15, 1 - step / (0.3 * steps)), generator)
        S_next, r, terminated, truncated = env.step(a)
        buffer.add(*(field[real] for field in (S, a, 0.1 * r, S_next, terminated, truncated)))
        S, real = S_next, ~(terminated | truncated)
        alpha = 0.002 * (1 + math.cos(math.pi * step / steps)) / 2
        for _ in range(2 * (step > 50)):
            batch, t = buffer.sample(128, generator), t + 1
            _, g_Ws, g_bs = dqn_gradient(*batch, P[:2], P[2:], target[:2], target[2:], gamma, 1.0)
            moved = [adam_step(w, g, m, v, t, alpha) for w, g, (m, v) in zip(P, g_Ws + g_bs, moments)]
            P, moments = [w for w, _, _ in moved], [(m, v) for _, m, v in moved]
            target = [old + 0.01 * (w - old) for old, w in zip(target, P)]
        if step % 200 == 0:
            reached = greedy_return(P)
            if reached >= most:
                best, most = P, reached
            S, real = env.reset(), torch.ones(16, dtype=torch.bool)
    return best[:2], best[2:]


# %% train_dqn: larger batches
def train_dqn(env, seed):
    generator = torch.Generator().manual_seed(seed)
    h, gamma, steps = 128, 0.98, 6000
    W_1, b_1 = torch.randn(h, 4, generator=generator) / 2, torch.randn(h, generator=generator) / 2
    W_2, b_2 = torch.randn(2, h, generator=generator) / 100, torch.full((2,), 0.1 / (1 - gamma))
    P = [W_1, W_2, b_1, b_2]
    target, best, most = P, P, 0
    moments = [(torch.zeros_like(w), torch.zeros_like(w)) for w in P]
    buffer, t = ReplayBuffer(50_000, 4), 0

    def q(S, P):
        return (S @ P[0].T + P[2]).clamp(min=0) @ P[1].T + P[3]

    def greedy_return(P):
        S, up, total = env.reset(), torch.ones(16, dtype=torch.bool), 0
        while up.any():
            S, _, terminated, truncated = env.step(q(S, P).argmax(1))
            total += int(up.sum())
            up &= ~(terminated | truncated)
        return total

    S, real = env.reset(), torch.ones(16, dtype=torch.bool)
    for step in range(1, steps + 1):
        a = epsilon_greedy(q(S, P), max(0.15, 1 - step / (0.3 * steps)), generator)
        S_next, r, terminated, truncated = env.step(a)
        buffer.add(*(field[real] for field in (S, a, 0.1 * r, S_next, terminated, truncated)))
        S, real = S_next, ~(terminated | truncated)
        alpha = 0.002 * (1 + math.cos(math.pi * step / steps)) / 2
        for _ in range(2 * (step > 50)):
            batch, t = buffer.sample(256, generator), t + 1
            _, g_Ws, g_bs = dqn_gradient(*batch, P[:2], P[2:], target[:2], target[2:], gamma, 1.0)
            moved = [adam_step(w, g, m, v, t, alpha) for w, g, (m, v) in zip(P, g_Ws + g_bs, moments)]
            P, moments = [w for w, _, _ in moved], [(m, v) for _, m, v in moved]
            target = [old + 0.01 * (w - old) for old, w in zip(target, P)]
        if step % 200 == 0:
            reached = greedy_return(P)
            if reached >= most:
                best, most = P, reached
            S, real = env.reset(), torch.ones(16, dtype=torch.bool)
    return best[:2], best[2:]


# %% train_dqn: a smaller δ
def train_dqn(env, seed):
    generator = torch.Generator().manual_seed(seed)
    h, gamma, steps = 128, 0.98, 6000
    W_1, b_1 = torch.randn(h, 4, generator=generator) / 2, torch.randn(h, generator=generator) / 2
    W_2, b_2 = torch.randn(2, h, generator=generator) / 100, torch.full((2,), 0.1 / (1 - gamma))
    P = [W_1, W_2, b_1, b_2]
    target, best, most = P, P, 0
    moments = [(torch.zeros_like(w), torch.zeros_like(w)) for w in P]
    buffer, t = ReplayBuffer(50_000, 4), 0

    def q(S, P):
        return (S @ P[0].T + P[2]).clamp(min=0) @ P[1].T + P[3]

    def greedy_return(P):
        S, up, total = env.reset(), torch.ones(16, dtype=torch.bool), 0
        while up.any():
            S, _, terminated, truncated = env.step(q(S, P).argmax(1))
            total += int(up.sum())
            up &= ~(terminated | truncated)
        return total

    S, real = env.reset(), torch.ones(16, dtype=torch.bool)
    for step in range(1, steps + 1):
        a = epsilon_greedy(q(S, P), max(0.15, 1 - step / (0.3 * steps)), generator)
        S_next, r, terminated, truncated = env.step(a)
        buffer.add(*(field[real] for field in (S, a, 0.1 * r, S_next, terminated, truncated)))
        S, real = S_next, ~(terminated | truncated)
        alpha = 0.002 * (1 + math.cos(math.pi * step / steps)) / 2
        for _ in range(2 * (step > 50)):
            batch, t = buffer.sample(128, generator), t + 1
            _, g_Ws, g_bs = dqn_gradient(*batch, P[:2], P[2:], target[:2], target[2:], gamma, 0.3)
            moved = [adam_step(w, g, m, v, t, alpha) for w, g, (m, v) in zip(P, g_Ws + g_bs, moments)]
            P, moments = [w for w, _, _ in moved], [(m, v) for _, m, v in moved]
            target = [old + 0.01 * (w - old) for old, w in zip(target, P)]
        if step % 200 == 0:
            reached = greedy_return(P)
            if reached >= most:
                best, most = P, reached
            S, real = env.reset(), torch.ones(16, dtype=torch.bool)
    return best[:2], best[2:]


# %% train_dqn: a smaller memory
def train_dqn(env, seed):
    generator = torch.Generator().manual_seed(seed)
    h, gamma, steps = 128, 0.98, 6000
    W_1, b_1 = torch.randn(h, 4, generator=generator) / 2, torch.randn(h, generator=generator) / 2
    W_2, b_2 = torch.randn(2, h, generator=generator) / 100, torch.full((2,), 0.1 / (1 - gamma))
    P = [W_1, W_2, b_1, b_2]
    target, best, most = P, P, 0
    moments = [(torch.zeros_like(w), torch.zeros_like(w)) for w in P]
    buffer, t = ReplayBuffer(20_000, 4), 0

    def q(S, P):
        return (S @ P[0].T + P[2]).clamp(min=0) @ P[1].T + P[3]

    def greedy_return(P):
        S, up, total = env.reset(), torch.ones(16, dtype=torch.bool), 0
        while up.any():
            S, _, terminated, truncated = env.step(q(S, P).argmax(1))
            total += int(up.sum())
            up &= ~(terminated | truncated)
        return total

    S, real = env.reset(), torch.ones(16, dtype=torch.bool)
    for step in range(1, steps + 1):
        a = epsilon_greedy(q(S, P), max(0.15, 1 - step / (0.3 * steps)), generator)
        S_next, r, terminated, truncated = env.step(a)
        buffer.add(*(field[real] for field in (S, a, 0.1 * r, S_next, terminated, truncated)))
        S, real = S_next, ~(terminated | truncated)
        alpha = 0.002 * (1 + math.cos(math.pi * step / steps)) / 2
        for _ in range(2 * (step > 50)):
            batch, t = buffer.sample(128, generator), t + 1
            _, g_Ws, g_bs = dqn_gradient(*batch, P[:2], P[2:], target[:2], target[2:], gamma, 1.0)
            moved = [adam_step(w, g, m, v, t, alpha) for w, g, (m, v) in zip(P, g_Ws + g_bs, moments)]
            P, moments = [w for w, _, _ in moved], [(m, v) for _, m, v in moved]
            target = [old + 0.01 * (w - old) for old, w in zip(target, P)]
        if step % 200 == 0:
            reached = greedy_return(P)
            if reached >= most:
                best, most = P, reached
            S, real = env.reset(), torch.ones(16, dtype=torch.bool)
    return best[:2], best[2:]
