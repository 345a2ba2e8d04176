import numpy as np

np.random.seed(1)
x = np.random.randn(2, 5)
y = (x[0:1] * x[1:2] > 0).astype(float)
w1 = np.random.randn(3, 2) * 0.5
b1 = np.zeros((3, 1))
w2 = np.random.randn(1, 3) * 0.5
b2 = np.zeros((1, 1))
lr = 0.5
losses = []

for i in range(200):
    z1 = w1 @ x + b1
    a1 = np.tanh(z1)
    z2 = w2 @ a1 + b2
    a2 = 1 / (1 + np.exp(-z2))
    loss = -np.mean(y * np.log(a2) + (1 - y) * np.log(1 - a2))
    losses.append(loss)
    dz2 = (a2 - y) / y.shape[1]
    dw2 = dz2 @ a1.T
    db2 = dz2.sum(axis=1, keepdims=True)
    dz1 = (w2.T @ dz2) * (1 - a1**2)
    dw1 = dz1 @ x.T
    db1 = dz1.sum(axis=1, keepdims=True)
    w1 -= lr * dw1
    b1 -= lr * db1
    w2 -= lr * dw2
    b2 -= lr * db2
    if i % 50 == 0:
        print(i, loss)
