"""Recording: what stands between the user's code and NumPy while a trace runs.

array       what the code holds instead of its arrays; operators, what it can do
tape        the lean record; memory, what views and writes in place mean for it
calls       NumPy's functions and methods; namespace and scope, how the code comes to call ours
entrance    where arrays come in and go out; blocks, the blocks named by hand
load        runs a file; source, naming and regions read from it what things are called
handwritten calls a hand-written backward block
"""
