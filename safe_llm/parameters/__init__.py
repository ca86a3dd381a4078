"""Where each parameter that users know goes: to the engine, into a request, or nowhere any more.

The words are llama-cpp-python's and llama-server's, as the frameworks' own classes take them; the
adapters of all frameworks share them. Starts nothing and asks nobody.
"""
