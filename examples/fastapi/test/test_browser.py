def run(world):
    pass
