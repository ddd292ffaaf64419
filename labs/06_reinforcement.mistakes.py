"""Every listed mistake of the lab `reinforcement`, as the code that a student would hand in.

A cell's title is `question: sentence`; it runs after all solutions of the lab, in their namespace.
"""
# ruff: noqa: F811, F821


# %% value_iteration: ignored terminal: the values behind the end are not 0
def value_iteration(P, R, terminal, gamma):
    V = torch.zeros(len(R))
    for _ in range(1000):
        Q = R + gamma * P @ V
        V = Q.max(dim=1).values
    return Q, V


# %% value_iteration: gave Q of a terminal state a value; it is 0, as V is
def value_iteration(P, R, terminal, gamma):
    V = torch.zeros(len(R))
    for _ in range(1000):
        Q = R + gamma * P @ V
        V = Q.max(dim=1).values
        V[terminal] = 0
    return Q, V


# %% value_iteration: multiplied γ with the reward, too
def value_iteration(P, R, terminal, gamma):
    V = torch.zeros(len(R))
    for _ in range(1000):
        Q = gamma * (R + P @ V)
        Q[terminal] = 0
        V = Q.max(dim=1).values
    return Q, V


# %% value_iteration: stopped after one sweep
def value_iteration(P, R, terminal, gamma):
    V = torch.zeros(len(R))
    Q = R + gamma * P @ V
    Q[terminal] = 0
    return Q, Q.max(dim=1).values


# %% value_iteration: averaged over the actions instead of taking the maximum
def value_iteration(P, R, terminal, gamma):
    V = torch.zeros(len(R))
    for _ in range(1000):
        Q = R + gamma * P @ V
        Q[terminal] = 0
        V = Q.mean(dim=1)
    return Q, V


# %% value_iteration: took the minimum over the actions
def value_iteration(P, R, terminal, gamma):
    V = torch.zeros(len(R))
    for _ in range(1000):
        Q = R + gamma * torch.einsum("sat,t->sa", P, V)
        Q[terminal] = 0
        V = Q.min(dim=1).values
    return Q, V


# %% value_iteration: went on from the most likely next state instead of averaging over all
def value_iteration(P, R, terminal, gamma):
    V, s_next = torch.zeros(len(R)), P.argmax(dim=2)
    for _ in range(1000):
        Q = R + gamma * V[s_next]
        Q[terminal] = 0
        V = Q.max(dim=1).values
    return Q, V


# %% value_iteration: took the value of s itself for that of s'
def value_iteration(P, R, terminal, gamma):
    V = torch.zeros(len(R))
    for _ in range(1000):
        Q = R + gamma * V[:, None]
        Q[terminal] = 0
        V = Q.max(dim=1).values
    return Q, V


# %% value_iteration: returned the best action for V, not its value
def value_iteration(P, R, terminal, gamma):
    V = torch.zeros(len(R))
    for _ in range(1000):
        Q = R + gamma * P @ V
        Q[terminal] = 0
        V = Q.max(dim=1).values
    return Q, Q.max(dim=1).indices


# %% epsilon_greedy: always took the greatest action
def epsilon_greedy(Q, epsilon, generator):
    best = (Q == Q.max(dim=1, keepdim=True).values).double()
    return torch.multinomial(best, 1, generator=generator)[:, 0]


# %% epsilon_greedy: took the action of the smallest value
def epsilon_greedy(Q, epsilon, generator):
    m, A = Q.shape
    explore = torch.rand(m, generator=generator) < epsilon
    return torch.where(explore, torch.randint(A, (m,), generator=generator), Q.argmin(dim=1))


# %% epsilon_greedy: drew one random action for all rows
def epsilon_greedy(Q, epsilon, generator):
    m, A = Q.shape
    greedy = torch.multinomial((Q == Q.amax(1, keepdim=True)).double(), 1, generator=generator)[:, 0]
    explore = torch.rand(m, generator=generator) < epsilon
    return torch.where(explore, torch.randint(A, (), generator=generator), greedy)


# %% epsilon_greedy: threw one coin for all rows
def epsilon_greedy(Q, epsilon, generator):
    m, A = Q.shape
    if torch.rand((), generator=generator) < epsilon:
        return torch.randint(A, (m,), generator=generator)
    return torch.multinomial((Q == Q.amax(1, keepdim=True)).double(), 1, generator=generator)[:, 0]


# %% epsilon_greedy: never tried the last action
def epsilon_greedy(Q, epsilon, generator):
    m, A = Q.shape
    greedy = torch.multinomial((Q == Q.amax(1, keepdim=True)).double(), 1, generator=generator)[:, 0]
    explore = torch.rand(m, generator=generator) < epsilon
    return torch.where(explore, torch.randint(0, A - 1, (m,), generator=generator), greedy)


# %% epsilon_greedy: explored among the other actions only
def epsilon_greedy(Q, epsilon, generator):
    m, A = Q.shape
    greedy = torch.multinomial((Q == Q.amax(1, keepdim=True)).double(), 1, generator=generator)[:, 0]
    other = (greedy + torch.randint(1, A, (m,), generator=generator)) % A
    return torch.where(torch.rand(m, generator=generator) < epsilon, other, greedy)


# %% epsilon_greedy: took ε for the probability of the greatest action
def epsilon_greedy(Q, epsilon, generator):
    m, A = Q.shape
    greedy = torch.multinomial((Q == Q.amax(1, keepdim=True)).double(), 1, generator=generator)[:, 0]
    exploit = torch.rand(m, generator=generator) < epsilon
    return torch.where(exploit, greedy, torch.randint(A, (m,), generator=generator))


# %% epsilon_greedy: took the first of equal values
def epsilon_greedy(Q, epsilon, generator):
    m, A = Q.shape
    explore = torch.rand(m, generator=generator) < epsilon
    return torch.where(explore, torch.randint(A, (m,), generator=generator), Q.argmax(dim=1))


# %% epsilon_greedy: took the last of equal values
def epsilon_greedy(Q, epsilon, generator):
    m, A = Q.shape
    greedy = A - 1 - Q.flip(1).argmax(dim=1)
    explore = torch.rand(m, generator=generator) < epsilon
    return torch.where(explore, torch.randint(A, (m,), generator=generator), greedy)


# %% epsilon_greedy: gave the generator its first seed again
def epsilon_greedy(Q, epsilon, generator):
    m, A = Q.shape
    generator.manual_seed(generator.initial_seed())
    greedy = torch.multinomial((Q == Q.amax(1, keepdim=True)).double(), 1, generator=generator)[:, 0]
    explore = torch.rand(m, generator=generator) < epsilon
    return torch.where(explore, torch.randint(A, (m,), generator=generator), greedy)


# %% epsilon_greedy: ignored the generator
def epsilon_greedy(Q, epsilon, generator):
    m, A = Q.shape
    greedy = torch.multinomial((Q == Q.amax(1, keepdim=True)).double(), 1)[:, 0]
    return torch.where(torch.rand(m) < epsilon, torch.randint(A, (m,)), greedy)


# %% q_update: ignored terminated: went on behind the end
def q_update(Q, s, a, r, s_next, terminated, alpha, gamma):
    Q = Q.clone()
    Q[s, a] = (1 - alpha) * Q[s, a] + alpha * (r + gamma * Q[s_next].max())
    return Q


# %% q_update: learned nothing from a terminated step
def q_update(Q, s, a, r, s_next, terminated, alpha, gamma):
    Q = Q.clone()
    if not terminated:
        Q[s, a] += alpha * (r + gamma * Q[s_next].max() - Q[s, a])
    return Q


# %% q_update: multiplied γ with the reward, too
def q_update(Q, s, a, r, s_next, terminated, alpha, gamma):
    ahead = 0 if terminated else Q[s_next].max()
    Q = Q.clone()
    Q[s, a] += alpha * (gamma * (r + ahead) - Q[s, a])
    return Q


# %% q_update: took Q of s' at the action a instead of the maximum
def q_update(Q, s, a, r, s_next, terminated, alpha, gamma):
    target = r if terminated else r + gamma * Q[s_next, a]
    Q = Q.clone()
    Q[s, a] += alpha * (target - Q[s, a])
    return Q


# %% q_update: took the maximum at s instead of at s'
def q_update(Q, s, a, r, s_next, terminated, alpha, gamma):
    target = r if terminated else r + gamma * Q[s].max()
    Q = Q.clone()
    Q[s, a] += alpha * (target - Q[s, a])
    return Q


# %% q_update: went down where the slide goes up: subtracted the correction
def q_update(Q, s, a, r, s_next, terminated, alpha, gamma):
    target = r if terminated else r + gamma * Q[s_next].max()
    Q = Q.clone()
    Q[s, a] -= alpha * (target - Q[s, a])
    return Q


# %% q_update: left out α
def q_update(Q, s, a, r, s_next, terminated, alpha, gamma):
    target = r if terminated else r + gamma * Q[s_next].max()
    Q = Q.clone()
    Q[s, a] = target
    return Q


# %% q_update: left out - Q(s, a)
def q_update(Q, s, a, r, s_next, terminated, alpha, gamma):
    target = r if terminated else r + gamma * Q[s_next].max()
    Q = Q.clone()
    Q[s, a] += alpha * target
    return Q


# %% q_update: did not gather the action: changed the values of all actions
def q_update(Q, s, a, r, s_next, terminated, alpha, gamma):
    target = r if terminated else r + gamma * Q[s_next].max()
    Q = Q.clone()
    Q[s] += alpha * (target - Q[s, a].item())
    return Q


# %% q_update: took the maximum over the wrong axis: over states, for the action a
def q_update(Q, s, a, r, s_next, terminated, alpha, gamma):
    target = r if terminated else r + gamma * Q.max(dim=0).values[a]
    Q = Q.clone()
    Q[s, a] += alpha * (target - Q[s, a])
    return Q


# %% q_update: exchanged α and 1 - α
def q_update(Q, s, a, r, s_next, terminated, alpha, gamma):
    target = r if terminated else r + gamma * Q[s_next].max()
    Q = Q.clone()
    Q[s, a] = alpha * Q[s, a] + (1 - alpha) * target
    return Q


# %% q_update: kept nothing of the old value: left out (1 - α) Q(s, a)
def q_update(Q, s, a, r, s_next, terminated, alpha, gamma):
    target = r if terminated else r + gamma * Q[s_next].max()
    Q = Q.clone()
    Q[s, a] = alpha * target
    return Q


# %% linear_q_step: ignored terminated: went on behind the end
def linear_q_step(theta, phi, a, r, phi_next, terminated, alpha, gamma):
    y = r + gamma * (theta @ phi_next).max()
    theta = theta.clone()
    theta[a] += alpha * (y - theta[a] @ phi) * phi
    return theta


# %% linear_q_step: learned nothing from a terminated step
def linear_q_step(theta, phi, a, r, phi_next, terminated, alpha, gamma):
    if terminated:
        return theta
    y = r + gamma * (theta @ phi_next).max()
    theta = theta.clone()
    theta[a] += alpha * (y - theta[a] @ phi) * phi
    return theta


# %% linear_q_step: multiplied γ with the reward, too
def linear_q_step(theta, phi, a, r, phi_next, terminated, alpha, gamma):
    y = gamma * (r + (theta @ phi_next).max() * (not terminated))
    theta = theta.clone()
    theta[a] += alpha * (y - theta[a] @ phi) * phi
    return theta


# %% linear_q_step: took Q of s' at the action a instead of the maximum
def linear_q_step(theta, phi, a, r, phi_next, terminated, alpha, gamma):
    y = r + gamma * (theta[a] @ phi_next) * (not terminated)
    theta = theta.clone()
    theta[a] += alpha * (y - theta[a] @ phi) * phi
    return theta


# %% linear_q_step: took the maximum at s instead of at s'
def linear_q_step(theta, phi, a, r, phi_next, terminated, alpha, gamma):
    Q = theta @ phi
    y = r + gamma * Q.max() * (not terminated)
    theta = theta.clone()
    theta[a] += alpha * (y - Q[a]) * phi
    return theta


# %% linear_q_step: went down where the slide goes up: subtracted the correction
def linear_q_step(theta, phi, a, r, phi_next, terminated, alpha, gamma):
    y = r + gamma * (theta @ phi_next).max() * (not terminated)
    theta = theta.clone()
    theta[a] -= alpha * (y - theta[a] @ phi) * phi
    return theta


# %% linear_q_step: left out α
def linear_q_step(theta, phi, a, r, phi_next, terminated, alpha, gamma):
    y = r + gamma * (theta @ phi_next).max() * (not terminated)
    theta = theta.clone()
    theta[a] += (y - theta[a] @ phi) * phi
    return theta


# %% linear_q_step: left out - Q(s, a)
def linear_q_step(theta, phi, a, r, phi_next, terminated, alpha, gamma):
    y = r + gamma * (theta @ phi_next).max() * (not terminated)
    theta = theta.clone()
    theta[a] += alpha * y * phi
    return theta


# %% linear_q_step: did not gather the action: changed the values of all actions
def linear_q_step(theta, phi, a, r, phi_next, terminated, alpha, gamma):
    y = r + gamma * (theta @ phi_next).max() * (not terminated)
    return theta + alpha * (y - theta[a] @ phi) * phi


# %% linear_q_step: let the gradient through the target
def linear_q_step(theta, phi, a, r, phi_next, terminated, alpha, gamma):
    Q_next = theta @ phi_next
    going = 0.0 if terminated else 1.0
    delta = r + gamma * going * Q_next.max() - theta[a] @ phi
    theta, best = theta.clone(), Q_next.argmax()
    theta[a] += alpha * delta * phi
    theta[best] -= alpha * delta * gamma * going * phi_next
    return theta


# %% linear_q_step: took φ(s') for the gradient
def linear_q_step(theta, phi, a, r, phi_next, terminated, alpha, gamma):
    y = r + gamma * (theta @ phi_next).max() * (not terminated)
    theta = theta.clone()
    theta[a] += alpha * (y - theta[a] @ phi) * phi_next
    return theta


# %% dqn_targets: ignored terminated: went on behind the end
def dqn_targets(r, terminated, truncated, Q_target, Q_online, gamma, double):
    if double:
        return r + gamma * Q_target[range(len(r)), Q_online.argmax(dim=1)]
    return r + gamma * Q_target.max(dim=1).values


# %% dqn_targets: treated truncated as terminated
def dqn_targets(r, terminated, truncated, Q_target, Q_online, gamma, double):
    done = terminated | truncated
    chosen = (Q_online if double else Q_target).argmax(dim=1, keepdim=True)
    return r + gamma * Q_target.gather(1, chosen)[:, 0] * (1 - done.double())


# %% dqn_targets: cut the future off where truncated, not where terminated
def dqn_targets(r, terminated, truncated, Q_target, Q_online, gamma, double):
    chosen = (Q_online if double else Q_target).argmax(dim=1, keepdim=True)
    return r + gamma * Q_target.gather(1, chosen)[:, 0] * ~truncated


# %% dqn_targets: looked ahead only where terminated
def dqn_targets(r, terminated, truncated, Q_target, Q_online, gamma, double):
    chosen = (Q_online if double else Q_target).argmax(dim=1, keepdim=True)
    return r + gamma * Q_target.gather(1, chosen)[:, 0] * terminated


# %% dqn_targets: dropped the reward, too, where terminated
def dqn_targets(r, terminated, truncated, Q_target, Q_online, gamma, double):
    chosen = (Q_online if double else Q_target).argmax(dim=1, keepdim=True)
    return (r + gamma * Q_target.gather(1, chosen)[:, 0]) * ~terminated


# %% dqn_targets: multiplied γ with the reward, too
def dqn_targets(r, terminated, truncated, Q_target, Q_online, gamma, double):
    chosen = (Q_online if double else Q_target).argmax(dim=1, keepdim=True)
    return gamma * (r + Q_target.gather(1, chosen)[:, 0] * ~terminated)


# %% dqn_targets: took the target from the wrong network: the maximum of Q_online
def dqn_targets(r, terminated, truncated, Q_target, Q_online, gamma, double):
    return r + gamma * Q_online.max(dim=1).values * ~terminated


# %% dqn_targets: took one maximum for the whole batch
def dqn_targets(r, terminated, truncated, Q_target, Q_online, gamma, double):
    return r + gamma * Q_target.max() * ~terminated


# %% dqn_targets: added the index of the best action, not its value
def dqn_targets(r, terminated, truncated, Q_target, Q_online, gamma, double):
    return r + gamma * Q_target.max(dim=1)[1] * ~terminated


# %% dqn_targets: averaged over the actions instead of taking the maximum
def dqn_targets(r, terminated, truncated, Q_target, Q_online, gamma, double):
    return r + gamma * Q_target.mean(dim=1) * ~terminated


# %% dqn_targets: took the double target always
def dqn_targets(r, terminated, truncated, Q_target, Q_online, gamma, double):
    return r + gamma * Q_target[range(len(r)), Q_online.argmax(dim=1)] * ~terminated


# %% dqn_targets: never took the double target
def dqn_targets(r, terminated, truncated, Q_target, Q_online, gamma, double):
    return r + gamma * Q_target.amax(dim=1) * ~terminated


# %% dqn_targets: chose with the target network and valued with the online one
def dqn_targets(r, terminated, truncated, Q_target, Q_online, gamma, double):
    best = Q_target.argmax(dim=1)
    ahead = (Q_online if double else Q_target)[range(len(r)), best]
    return r + gamma * ahead * ~terminated


# %% huber_gradient: took smooth_l1, which is Huber's loss over δ
def huber_gradient(u, delta):
    loss = F.smooth_l1_loss(u, torch.zeros_like(u), beta=delta)
    return loss, (u / delta).clamp(-1, 1) / len(u)


# %% huber_gradient: summed the loss over the batch instead of averaging it
def huber_gradient(u, delta):
    loss = F.huber_loss(u, torch.zeros_like(u), delta=delta, reduction="sum")
    return loss, u.clamp(-delta, delta)


# %% huber_gradient: never divided G by m
def huber_gradient(u, delta):
    loss = F.huber_loss(u, torch.zeros_like(u), delta=delta)
    return loss, u.clamp(-delta, delta)


# %% huber_gradient: cut u off before squaring: beyond δ nothing is learned
def huber_gradient(u, delta):
    inside = u.abs() <= delta
    return (u.clamp(-delta, delta) ** 2 / 2).mean(), u * inside / len(u)


# %% huber_gradient: took the slope 1 beyond δ instead of δ
def huber_gradient(u, delta):
    loss = F.huber_loss(u, torch.zeros_like(u), delta=delta)
    return loss, torch.where(u.abs() <= delta, u, u.sign()) / len(u)


# %% huber_gradient: lost the sign of u beyond δ
def huber_gradient(u, delta):
    loss = F.huber_loss(u, torch.zeros_like(u), delta=delta)
    return loss, torch.where(u.abs() <= delta, u, delta) / len(u)


# %% huber_gradient: left out δ/2: the two pieces do not meet
def huber_gradient(u, delta):
    loss = torch.where(u.abs() <= delta, u**2 / 2, delta * u.abs()).mean()
    return loss, u.clamp(-delta, delta) / len(u)


# %% huber_gradient: left out the 1/2 of the square
def huber_gradient(u, delta):
    inside = u.abs() <= delta
    loss = torch.where(inside, u**2, delta * (u.abs() - delta / 2)).mean()
    return loss, torch.where(inside, 2 * u, delta * u.sign()) / len(u)


# %% huber_gradient: took the square everywhere
def huber_gradient(u, delta):
    return (u**2).mean() / 2, u / len(u)


# %% dqn_gradient: ignored terminated: went on behind the end
def dqn_gradient(S, a, r, S_next, terminated, truncated, Ws, bs, Ws_target, bs_target, gamma, delta):
    rows = torch.arange(len(a))
    H_next = (S_next @ Ws_target[0].T + bs_target[0]).clamp(min=0)
    Q_next = H_next @ Ws_target[1].T + bs_target[1]
    y = r + gamma * Q_next.max(dim=1).values
    A = S @ Ws[0].T + bs[0]
    H = A.clamp(min=0)
    Q = H @ Ws[1].T + bs[1]
    loss, g = huber_gradient(Q[rows, a] - y, delta)
    G = torch.zeros_like(Q)
    G[rows, a] = g
    G_H = G @ Ws[1] * (A > 0)
    return loss, [G_H.T @ S, G.T @ H], [G_H.sum(dim=0), G.sum(dim=0)]


# %% dqn_gradient: treated truncated as terminated
def dqn_gradient(S, a, r, S_next, terminated, truncated, Ws, bs, Ws_target, bs_target, gamma, delta):
    rows = torch.arange(len(a))
    H_next = (S_next @ Ws_target[0].T + bs_target[0]).clamp(min=0)
    Q_next = H_next @ Ws_target[1].T + bs_target[1]
    y = r + gamma * Q_next.max(dim=1).values * ~(terminated | truncated)
    A = S @ Ws[0].T + bs[0]
    H = A.clamp(min=0)
    Q = H @ Ws[1].T + bs[1]
    loss, g = huber_gradient(Q[rows, a] - y, delta)
    G = torch.zeros_like(Q)
    G[rows, a] = g
    G_H = G @ Ws[1] * (A > 0)
    return loss, [G_H.T @ S, G.T @ H], [G_H.sum(dim=0), G.sum(dim=0)]


# %% dqn_gradient: took the target from the wrong network, the online one
def dqn_gradient(S, a, r, S_next, terminated, truncated, Ws, bs, Ws_target, bs_target, gamma, delta):
    rows = torch.arange(len(a))
    H_next = (S_next @ Ws[0].T + bs[0]).clamp(min=0)
    Q_next = H_next @ Ws[1].T + bs[1]
    y = r + gamma * Q_next.max(dim=1).values * ~terminated
    A = S @ Ws[0].T + bs[0]
    H = A.clamp(min=0)
    Q = H @ Ws[1].T + bs[1]
    loss, g = huber_gradient(Q[rows, a] - y, delta)
    G = torch.zeros_like(Q)
    G[rows, a] = g
    G_H = G @ Ws[1] * (A > 0)
    return loss, [G_H.T @ S, G.T @ H], [G_H.sum(dim=0), G.sum(dim=0)]


# %% dqn_gradient: took the target from the online network, and let the gradient through it
def dqn_gradient(S, a, r, S_next, terminated, truncated, Ws, bs, Ws_target, bs_target, gamma, delta):
    rows = torch.arange(len(a))
    H_next = (S_next @ Ws[0].T + bs[0]).clamp(min=0)
    Q_next = H_next @ Ws[1].T + bs[1]
    y = r + gamma * Q_next.max(dim=1).values * ~terminated
    A = S @ Ws[0].T + bs[0]
    H = A.clamp(min=0)
    Q = H @ Ws[1].T + bs[1]
    loss, g = huber_gradient(Q[rows, a] - y, delta)
    G = torch.zeros_like(Q)
    G[rows, a] = g
    G_H = G @ Ws[1] * (A > 0)
    G_next = torch.zeros_like(Q_next)
    G_next[rows, Q_next.argmax(dim=1)] = -gamma * g * ~terminated
    E = G_next @ Ws[1] * (H_next > 0)
    g_Ws = [G_H.T @ S + E.T @ S_next, G.T @ H + G_next.T @ H_next]
    return loss, g_Ws, [(G_H + E).sum(dim=0), (G + G_next).sum(dim=0)]


# %% dqn_gradient: let the gradient through the target
def dqn_gradient(S, a, r, S_next, terminated, truncated, Ws, bs, Ws_target, bs_target, gamma, delta):
    rows = torch.arange(len(a))
    H_next = (S_next @ Ws_target[0].T + bs_target[0]).clamp(min=0)
    Q_next = H_next @ Ws_target[1].T + bs_target[1]
    y = r + gamma * Q_next.max(dim=1).values * ~terminated
    A = S @ Ws[0].T + bs[0]
    H = A.clamp(min=0)
    Q = H @ Ws[1].T + bs[1]
    loss, g = huber_gradient(Q[rows, a] - y, delta)
    G = torch.zeros_like(Q)
    G[rows, a] = g
    G_H = G @ Ws[1] * (A > 0)
    G_next = torch.zeros_like(Q_next)
    G_next[rows, Q_next.argmax(dim=1)] = -gamma * g * ~terminated
    E = G_next @ Ws_target[1] * (H_next > 0)
    g_Ws = [G_H.T @ S + E.T @ S_next, G.T @ H + G_next.T @ H_next]
    return loss, g_Ws, [(G_H + E).sum(dim=0), (G + G_next).sum(dim=0)]


# %% dqn_gradient: did not gather the action: pushed the error into all actions
def dqn_gradient(S, a, r, S_next, terminated, truncated, Ws, bs, Ws_target, bs_target, gamma, delta):
    rows = torch.arange(len(a))
    H_next = (S_next @ Ws_target[0].T + bs_target[0]).clamp(min=0)
    Q_next = H_next @ Ws_target[1].T + bs_target[1]
    y = r + gamma * Q_next.max(dim=1).values * ~terminated
    A = S @ Ws[0].T + bs[0]
    H = A.clamp(min=0)
    Q = H @ Ws[1].T + bs[1]
    loss, g = huber_gradient(Q[rows, a] - y, delta)
    G = g[:, None].expand(Q.shape)
    G_H = G @ Ws[1] * (A > 0)
    return loss, [G_H.T @ S, G.T @ H], [G_H.sum(dim=0), G.sum(dim=0)]


# %% dqn_gradient: took y - Q for the error: went up where the loss goes down
def dqn_gradient(S, a, r, S_next, terminated, truncated, Ws, bs, Ws_target, bs_target, gamma, delta):
    rows = torch.arange(len(a))
    H_next = (S_next @ Ws_target[0].T + bs_target[0]).clamp(min=0)
    Q_next = H_next @ Ws_target[1].T + bs_target[1]
    y = r + gamma * Q_next.max(dim=1).values * ~terminated
    A = S @ Ws[0].T + bs[0]
    H = A.clamp(min=0)
    Q = H @ Ws[1].T + bs[1]
    loss, g = huber_gradient(y - Q[rows, a], delta)
    G = torch.zeros_like(Q)
    G[rows, a] = g
    G_H = G @ Ws[1] * (A > 0)
    return loss, [G_H.T @ S, G.T @ H], [G_H.sum(dim=0), G.sum(dim=0)]


# %% dqn_gradient: let the gradient through ReLU where it is off
def dqn_gradient(S, a, r, S_next, terminated, truncated, Ws, bs, Ws_target, bs_target, gamma, delta):
    rows = torch.arange(len(a))
    H_next = (S_next @ Ws_target[0].T + bs_target[0]).clamp(min=0)
    Q_next = H_next @ Ws_target[1].T + bs_target[1]
    y = r + gamma * Q_next.max(dim=1).values * ~terminated
    A = S @ Ws[0].T + bs[0]
    H = A.clamp(min=0)
    Q = H @ Ws[1].T + bs[1]
    loss, g = huber_gradient(Q[rows, a] - y, delta)
    G = torch.zeros_like(Q)
    G[rows, a] = g
    G_H = G @ Ws[1]
    return loss, [G_H.T @ S, G.T @ H], [G_H.sum(dim=0), G.sum(dim=0)]


# %% dqn_gradient: put a ReLU after the last layer, too
def dqn_gradient(S, a, r, S_next, terminated, truncated, Ws, bs, Ws_target, bs_target, gamma, delta):
    rows = torch.arange(len(a))
    H_next = (S_next @ Ws_target[0].T + bs_target[0]).clamp(min=0)
    Q_next = H_next @ Ws_target[1].T + bs_target[1]
    y = r + gamma * Q_next.max(dim=1).values * ~terminated
    A = S @ Ws[0].T + bs[0]
    H = A.clamp(min=0)
    Q = (H @ Ws[1].T + bs[1]).clamp(min=0)
    loss, g = huber_gradient(Q[rows, a] - y, delta)
    G = torch.zeros_like(Q)
    G[rows, a] = g * (Q[rows, a] > 0)
    G_H = G @ Ws[1] * (A > 0)
    return loss, [G_H.T @ S, G.T @ H], [G_H.sum(dim=0), G.sum(dim=0)]


# %% dqn_gradient: kept the pre-activation where g_W_2 needs what ReLU made of it
def dqn_gradient(S, a, r, S_next, terminated, truncated, Ws, bs, Ws_target, bs_target, gamma, delta):
    rows = torch.arange(len(a))
    H_next = (S_next @ Ws_target[0].T + bs_target[0]).clamp(min=0)
    Q_next = H_next @ Ws_target[1].T + bs_target[1]
    y = r + gamma * Q_next.max(dim=1).values * ~terminated
    A = S @ Ws[0].T + bs[0]
    H = A.clamp(min=0)
    Q = H @ Ws[1].T + bs[1]
    loss, g = huber_gradient(Q[rows, a] - y, delta)
    G = torch.zeros_like(Q)
    G[rows, a] = g
    G_H = G @ Ws[1] * (A > 0)
    return loss, [G_H.T @ S, G.T @ A], [G_H.sum(dim=0), G.sum(dim=0)]


# %% dqn_gradient: multiplied with the target network's W_2 on the way back
def dqn_gradient(S, a, r, S_next, terminated, truncated, Ws, bs, Ws_target, bs_target, gamma, delta):
    rows = torch.arange(len(a))
    H_next = (S_next @ Ws_target[0].T + bs_target[0]).clamp(min=0)
    Q_next = H_next @ Ws_target[1].T + bs_target[1]
    y = r + gamma * Q_next.max(dim=1).values * ~terminated
    A = S @ Ws[0].T + bs[0]
    H = A.clamp(min=0)
    Q = H @ Ws[1].T + bs[1]
    loss, g = huber_gradient(Q[rows, a] - y, delta)
    G = torch.zeros_like(Q)
    G[rows, a] = g
    G_H = G @ Ws_target[1] * (A > 0)
    return loss, [G_H.T @ S, G.T @ H], [G_H.sum(dim=0), G.sum(dim=0)]


# %% dqn_gradient: divided by m twice
def dqn_gradient(S, a, r, S_next, terminated, truncated, Ws, bs, Ws_target, bs_target, gamma, delta):
    m, rows = len(a), torch.arange(len(a))
    H_next = (S_next @ Ws_target[0].T + bs_target[0]).clamp(min=0)
    Q_next = H_next @ Ws_target[1].T + bs_target[1]
    y = r + gamma * Q_next.max(dim=1).values * ~terminated
    A = S @ Ws[0].T + bs[0]
    H = A.clamp(min=0)
    Q = H @ Ws[1].T + bs[1]
    loss, g = huber_gradient(Q[rows, a] - y, delta)
    G = torch.zeros_like(Q)
    G[rows, a] = g / m
    G_H = G @ Ws[1] * (A > 0)
    return loss, [G_H.T @ S, G.T @ H], [G_H.sum(dim=0), G.sum(dim=0)]


# %% dqn_gradient: summed the loss over the batch instead of averaging it
def dqn_gradient(S, a, r, S_next, terminated, truncated, Ws, bs, Ws_target, bs_target, gamma, delta):
    m, rows = len(a), torch.arange(len(a))
    H_next = (S_next @ Ws_target[0].T + bs_target[0]).clamp(min=0)
    Q_next = H_next @ Ws_target[1].T + bs_target[1]
    y = r + gamma * Q_next.max(dim=1).values * ~terminated
    A = S @ Ws[0].T + bs[0]
    H = A.clamp(min=0)
    Q = H @ Ws[1].T + bs[1]
    loss, g = huber_gradient(Q[rows, a] - y, delta)
    loss, g = loss * m, g * m
    G = torch.zeros_like(Q)
    G[rows, a] = g
    G_H = G @ Ws[1] * (A > 0)
    return loss, [G_H.T @ S, G.T @ H], [G_H.sum(dim=0), G.sum(dim=0)]


# %% dqn_gradient: returned the weight gradients transposed
def dqn_gradient(S, a, r, S_next, terminated, truncated, Ws, bs, Ws_target, bs_target, gamma, delta):
    rows = torch.arange(len(a))
    H_next = (S_next @ Ws_target[0].T + bs_target[0]).clamp(min=0)
    Q_next = H_next @ Ws_target[1].T + bs_target[1]
    y = r + gamma * Q_next.max(dim=1).values * ~terminated
    A = S @ Ws[0].T + bs[0]
    H = A.clamp(min=0)
    Q = H @ Ws[1].T + bs[1]
    loss, g = huber_gradient(Q[rows, a] - y, delta)
    G = torch.zeros_like(Q)
    G[rows, a] = g
    G_H = G @ Ws[1] * (A > 0)
    return loss, [S.T @ G_H, H.T @ G], [G_H.sum(dim=0), G.sum(dim=0)]


# %% ReplayBuffer: grew beyond the capacity
class ReplayBuffer:
    def __init__(self, capacity, n):
        self.capacity, self.rows = capacity, []

    def add(self, *fields):
        for row in zip(*fields):
            self.rows.append(tuple(value.clone() for value in row))

    def sample(self, m, generator):
        drawn = [self.rows[i] for i in torch.randint(len(self.rows), (m,), generator=generator).tolist()]
        return tuple(torch.stack(field) for field in zip(*drawn))

    def __len__(self):
        return len(self.rows)


# %% ReplayBuffer: kept what it was handed, not a copy
class ReplayBuffer:
    def __init__(self, capacity, n):
        self.capacity, self.rows = capacity, []

    def add(self, *fields):
        for row in zip(*fields):
            self.rows.append(row)
            if len(self.rows) > self.capacity:
                self.rows.pop(0)

    def sample(self, m, generator):
        drawn = [self.rows[i] for i in torch.randint(len(self.rows), (m,), generator=generator).tolist()]
        return tuple(torch.stack(field) for field in zip(*drawn))

    def __len__(self):
        return len(self.rows)


# %% ReplayBuffer: returned views into the memory, not copies
class ReplayBuffer:
    def __init__(self, capacity, n):
        self.capacity, self.rows = capacity, []

    def add(self, *fields):
        for row in zip(*fields):
            self.rows.append(tuple(value.clone() for value in row))
            if len(self.rows) > self.capacity:
                self.rows.pop(0)

    def sample(self, m, generator):
        drawn = [self.rows[i] for i in torch.randint(len(self.rows), (m,), generator=generator).tolist()]
        return tuple(zip(*drawn))

    def __len__(self):
        return len(self.rows)


# %% ReplayBuffer: drew empty rows while the memory is not full
class ReplayBuffer:
    def __init__(self, capacity, n):
        self.capacity, self.at, self.size = capacity, 0, 0
        self.fields = [torch.zeros(capacity, n), torch.zeros(capacity, dtype=torch.long), torch.zeros(capacity)]
        self.fields += [torch.zeros(capacity, n), *torch.zeros(2, capacity, dtype=torch.bool)]

    def add(self, *fields):
        for row in zip(*fields):
            for kept, value in zip(self.fields, row):
                kept[self.at] = value
            self.at = (self.at + 1) % self.capacity
            self.size = min(self.size + 1, self.capacity)

    def sample(self, m, generator):
        i = torch.randint(self.capacity, (m,), generator=generator)
        return [field[i] for field in self.fields]

    def __len__(self):
        return self.size


# %% ReplayBuffer: exchanged S and S_next
class ReplayBuffer:
    def __init__(self, capacity, n):
        self.capacity, self.at, self.size = capacity, 0, 0
        self.fields = [torch.zeros(capacity, n), torch.zeros(capacity, dtype=torch.long), torch.zeros(capacity)]
        self.fields += [torch.zeros(capacity, n), *torch.zeros(2, capacity, dtype=torch.bool)]

    def add(self, *fields):
        for row in zip(*fields):
            for kept, value in zip(self.fields, row):
                kept[self.at] = value
            self.at = (self.at + 1) % self.capacity
            self.size = min(self.size + 1, self.capacity)

    def sample(self, m, generator):
        i = torch.randint(self.size, (m,), generator=generator)
        S, a, r, S_next, terminated, truncated = (field[i] for field in self.fields)
        return S_next, a, r, S, terminated, truncated

    def __len__(self):
        return self.size


# %% ReplayBuffer: exchanged terminated and truncated
class ReplayBuffer:
    def __init__(self, capacity, n):
        self.capacity, self.at, self.size = capacity, 0, 0
        self.fields = [torch.zeros(capacity, n), torch.zeros(capacity, dtype=torch.long), torch.zeros(capacity)]
        self.fields += [torch.zeros(capacity, n), *torch.zeros(2, capacity, dtype=torch.bool)]

    def add(self, *fields):
        for row in zip(*fields):
            for kept, value in zip(self.fields, row):
                kept[self.at] = value
            self.at = (self.at + 1) % self.capacity
            self.size = min(self.size + 1, self.capacity)

    def sample(self, m, generator):
        i = torch.randint(self.size, (m,), generator=generator)
        S, a, r, S_next, terminated, truncated = (field[i] for field in self.fields)
        return S, a, r, S_next, truncated, terminated

    def __len__(self):
        return self.size


# %% ReplayBuffer: drew the rows of each field for themselves
class ReplayBuffer:
    def __init__(self, capacity, n):
        self.capacity, self.at, self.size = capacity, 0, 0
        self.fields = [torch.zeros(capacity, n), torch.zeros(capacity, dtype=torch.long), torch.zeros(capacity)]
        self.fields += [torch.zeros(capacity, n), *torch.zeros(2, capacity, dtype=torch.bool)]

    def add(self, *fields):
        for row in zip(*fields):
            for kept, value in zip(self.fields, row):
                kept[self.at] = value
            self.at = (self.at + 1) % self.capacity
            self.size = min(self.size + 1, self.capacity)

    def sample(self, m, generator):
        return [field[torch.randint(self.size, (m,), generator=generator)] for field in self.fields]

    def __len__(self):
        return self.size


# %% ReplayBuffer: ignored what comes when the memory is full
class ReplayBuffer:
    def __init__(self, capacity, n):
        self.capacity, self.at, self.size = capacity, 0, 0
        self.fields = [torch.zeros(capacity, n), torch.zeros(capacity, dtype=torch.long), torch.zeros(capacity)]
        self.fields += [torch.zeros(capacity, n), *torch.zeros(2, capacity, dtype=torch.bool)]

    def add(self, *fields):
        for row in zip(*fields):
            if self.size == self.capacity:
                return
            for kept, value in zip(self.fields, row):
                kept[self.at] = value
            self.at = self.at + 1
            self.size = min(self.size + 1, self.capacity)

    def sample(self, m, generator):
        i = torch.randint(self.size, (m,), generator=generator)
        return [field[i] for field in self.fields]

    def __len__(self):
        return self.size


# %% ReplayBuffer: overwrote the newest transitions instead of the oldest
class ReplayBuffer:
    def __init__(self, capacity, n):
        self.capacity, self.at, self.size = capacity, 0, 0
        self.fields = [torch.zeros(capacity, n), torch.zeros(capacity, dtype=torch.long), torch.zeros(capacity)]
        self.fields += [torch.zeros(capacity, n), *torch.zeros(2, capacity, dtype=torch.bool)]

    def add(self, *fields):
        for row in zip(*fields):
            for kept, value in zip(self.fields, row):
                kept[self.at] = value
            self.at = min(self.at + 1, self.capacity - 1)
            self.size = min(self.size + 1, self.capacity)

    def sample(self, m, generator):
        i = torch.randint(self.size, (m,), generator=generator)
        return [field[i] for field in self.fields]

    def __len__(self):
        return self.size


# %% ReplayBuffer: gave the generator its first seed again
class ReplayBuffer:
    def __init__(self, capacity, n):
        self.capacity, self.at, self.size = capacity, 0, 0
        self.fields = [torch.zeros(capacity, n), torch.zeros(capacity, dtype=torch.long), torch.zeros(capacity)]
        self.fields += [torch.zeros(capacity, n), *torch.zeros(2, capacity, dtype=torch.bool)]

    def add(self, *fields):
        for row in zip(*fields):
            for kept, value in zip(self.fields, row):
                kept[self.at] = value
            self.at = (self.at + 1) % self.capacity
            self.size = min(self.size + 1, self.capacity)

    def sample(self, m, generator):
        generator = torch.Generator().manual_seed(0)
        i = torch.randint(self.size, (m,), generator=generator)
        return [field[i] for field in self.fields]

    def __len__(self):
        return self.size


# %% ReplayBuffer: never drew the last row
class ReplayBuffer:
    def __init__(self, capacity, n):
        self.capacity, self.at, self.size = capacity, 0, 0
        self.fields = [torch.zeros(capacity, n), torch.zeros(capacity, dtype=torch.long), torch.zeros(capacity)]
        self.fields += [torch.zeros(capacity, n), *torch.zeros(2, capacity, dtype=torch.bool)]

    def add(self, *fields):
        for row in zip(*fields):
            for kept, value in zip(self.fields, row):
                kept[self.at] = value
            self.at = (self.at + 1) % self.capacity
            self.size = min(self.size + 1, self.capacity)

    def sample(self, m, generator):
        i = torch.randint(self.size - 1, (m,), generator=generator)
        return [field[i] for field in self.fields]

    def __len__(self):
        return self.size


# %% ReplayBuffer: drew without replacement
class ReplayBuffer:
    def __init__(self, capacity, n):
        self.capacity, self.at, self.size = capacity, 0, 0
        self.fields = [torch.zeros(capacity, n), torch.zeros(capacity, dtype=torch.long), torch.zeros(capacity)]
        self.fields += [torch.zeros(capacity, n), *torch.zeros(2, capacity, dtype=torch.bool)]

    def add(self, *fields):
        for row in zip(*fields):
            for kept, value in zip(self.fields, row):
                kept[self.at] = value
            self.at = (self.at + 1) % self.capacity
            self.size = min(self.size + 1, self.capacity)

    def sample(self, m, generator):
        i = torch.randperm(self.size, generator=generator)[:m]
        return [field[i] for field in self.fields]

    def __len__(self):
        return self.size


# %% ReplayBuffer: ignored the generator
class ReplayBuffer:
    def __init__(self, capacity, n):
        self.capacity, self.at, self.size = capacity, 0, 0
        self.fields = [torch.zeros(capacity, n), torch.zeros(capacity, dtype=torch.long), torch.zeros(capacity)]
        self.fields += [torch.zeros(capacity, n), *torch.zeros(2, capacity, dtype=torch.bool)]

    def add(self, *fields):
        for row in zip(*fields):
            for kept, value in zip(self.fields, row):
                kept[self.at] = value
            self.at = (self.at + 1) % self.capacity
            self.size = min(self.size + 1, self.capacity)

    def sample(self, m, generator):
        i = torch.randint(self.size, (m,))
        return [field[i] for field in self.fields]

    def __len__(self):
        return self.size
