# %% [markdown]
# # A first ticket
#
# From a network of your own to a small ONNX file that is proved and measured, in a minute. Each `# %%` begins a cell:
# editors run them one by one, and `jupytext --to notebook first_ticket.py` makes a notebook of this file.

# %% [markdown]
# ## The task
#
# How to make the network, the data and the training. Pixels of handwritten digits run from 0 to 16.

# %%
import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

from edgeticket import Data, Task, check, export, find, inspect, session


def network():
    """64 pixels to 10 digits."""
    return nn.Sequential(nn.Linear(64, 100), nn.ReLU(), nn.Linear(100, 10))


def digits(_folders):
    """1,797 images of 8x8, which come with scikit-learn."""
    images, labels = load_digits(return_X_y=True)
    images = (images / 16).astype(np.float32)
    return Data(train=(images[:1400], labels[:1400]), test=(images[1400:], labels[1400:]))


task = Task(
    name="first-ticket",
    model=network,
    data=digits,
    loss=nn.functional.cross_entropy,
    optimizer=torch.optim.Adam,
    lr=3e-3,
    iterations=300,
    batch_size=50,
    validation=200,
    until=0.3,
)

# %% [markdown]
# ## Find
#
# Each round trains to the end, prunes a fifth of the weights that are left and rewinds them to where they began.
# Running this cell again answers at once, from what lies in `runs/first-ticket`.

# %%
found = find(task)
found

# %% [markdown]
# ## Export
#
# The ticket as an ordinary ONNX file. Its outputs are compared with the masked network's over the whole test set.

# %%
exported = export(found)
exported

# %% [markdown]
# ## Check
#
# The same checks that a device makes with numpy and onnxruntime alone.

# %%
check(exported)

# %% [markdown]
# ## Look inside, and run it

# %%
inspect(exported, claim="always")

# %%
running = session(exported.folder / "model.onnx")
images, labels = load_digits(return_X_y=True)
(scores,) = running.run(None, {running.get_inputs()[0].name: (images[:8] / 16).astype(np.float32)})
print("digits", labels[:8], "read as", scores.argmax(axis=1))
