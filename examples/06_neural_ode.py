"""A neural ODE: the weights of a network that says how a point moves, learned from where the point went.

scipy solves the equation, and knows nothing of derivatives. The gradient comes from the adjoint method: a second
equation, solved backwards in time, carries dL/dy along and collects dL/dp on the way (Pontryagin et al. 1962;
Chen, Rubanova, Bettencourt and Duvenaud, "Neural Ordinary Differential Equations", 2018, algorithm 1).
`tg.primitive` makes the two one function, whose parameters come as a dict, as anybody would write them.

Needs scipy: pip install 'tinygrad_lr[fit]'.
"""

import numpy as np
from scipy.integrate import solve_ivp
from scipy.optimize import minimize

import tinygrad_lr as tg

PRECISION = {"rtol": 1e-8, "atol": 1e-10}


def velocity(p, y):
    """dy/dt: one hidden layer."""
    return np.tanh(y @ p["w1"] + p["b1"]) @ p["w2"] + p["b2"]


def solve(p, y0, times):
    """Where the point is at each of the times, from ``y0`` at the first of them."""
    return solve_ivp(lambda t, y: velocity(p, y), (times[0], times[-1]), y0, t_eval=times, **PRECISION).y.T


def adjoint(g, y, p, times):
    """dL/dp and dL/dy0, from the gradient ``g`` of the positions ``y`` at the given times."""
    names, shapes = list(p), [np.shape(p[name]) for name in p]
    ends = np.cumsum([np.prod(shape, dtype=int) for shape in shapes])

    def backwards(t, state):
        """d/dt of y, of a = dL/dy, and of dL/dp: f, -a df/dy and -a df/dp."""
        dy, pullback = tg.vjp(velocity, p, state[:2])
        dp, da = pullback(-state[2:4])
        return np.concatenate([dy, da, *(np.ravel(dp[name]) for name in names)])

    a, dp = g[-1], np.zeros(ends[-1])
    for i in range(len(times) - 1, 0, -1):
        state = np.concatenate([y[i], a, dp])
        state = solve_ivp(backwards, (times[i], times[i - 1]), state, **PRECISION).y[:, -1]
        a, dp = state[2:4] + g[i - 1], state[4:]
    pieces = np.split(dp, ends[:-1])
    return {name: piece.reshape(shape) for name, piece, shape in zip(names, pieces, shapes, strict=True)}, a


trajectory = tg.primitive(
    solve,
    lambda g, y, p, y0, times: adjoint(g, y, p, times)[0],
    lambda g, y, p, y0, times: adjoint(g, y, p, times)[1],
    None,
)

# The data: a point on a spiral, seen at 12 moments.
times = np.linspace(0.0, 3.0, 12)
spiral = np.array([[-0.3, 2.0], [-2.0, -0.3]])
start = np.array([1.0, 0.0])
seen = solve_ivp(lambda t, y: y @ spiral, (0.0, 3.0), start, t_eval=times, **PRECISION).y.T

rng = np.random.default_rng(0)
parameters = {"w1": rng.normal(0, 0.5, (2, 8)), "b1": np.zeros(8), "w2": rng.normal(0, 0.5, (8, 2)), "b2": np.zeros(2)}


def loss(p, y0=start):
    return np.mean((trajectory(p, y0, times) - seen) ** 2)


# The gradient through the solver, against differences of the solver.
print("gradient check:", tg.gradcheck(loss, parameters, start, order=1, rtol=1e-5))

# Training, by scipy's L-BFGS on all parameters in a row.
value_and_grad = tg.value_and_grad(loss)
sizes = np.cumsum([value.size for value in parameters.values()])


def unpacked(row):
    return {name: piece.reshape(parameters[name].shape) for name, piece in zip(parameters, np.split(row, sizes[:-1]), strict=True)}


def objective(row):
    value, gradient = value_and_grad(unpacked(row))
    return value, np.concatenate([np.ravel(g) for g in gradient.values()])


first = np.concatenate([np.ravel(value) for value in parameters.values()])
fit = minimize(objective, first, jac=True, method="L-BFGS-B", options={"maxiter": 60})
print(f"mean squared distance: {objective(first)[0]:.4f} before, {fit.fun:.1e} after {fit.nit} steps")

# What was learned is a velocity field: it goes on where the data ended.
later = np.linspace(0.0, 4.0, 5)
truth = solve_ivp(lambda t, y: y @ spiral, (0.0, 4.0), start, t_eval=later, **PRECISION).y.T
print("   t     learned            true")
for t, got, want in zip(later, solve(unpacked(fit.x), start, later), truth, strict=True):
    print(f"{t:4.1f}   {got[0]:7.3f} {got[1]:7.3f}   {want[0]:7.3f} {want[1]:7.3f}")
assert fit.fun < 1e-3, fit
