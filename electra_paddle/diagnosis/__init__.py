"""What `electra-paddle doctor` looks at: packages, processor, memory, GPUs, the hub and the folders.

Every check is a function from facts to Findings; `doctor` gathers the facts.
"""
