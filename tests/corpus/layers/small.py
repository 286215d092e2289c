"""60,000 small files in 3,000 directories: sizes and depth like those of an application with many dependencies."""
import os

TOP = os.environ["M"] + "/srv/app/node_modules"
OWNER = 1000

for package in range(3000):
    directory = f"{TOP}/package-{package:04d}/lib"
    os.makedirs(directory)
    for module in range(20):
        size = (package * 7919 + module * 104729) % 9000 + 40
        line = f'module.exports[{package}][{module}] = require("./x");\n'
        with open(f"{directory}/module-{module:02d}.js", "w", encoding="ascii") as file:
            file.write((line * (size // len(line) + 1))[:size])

for directory, _, files in os.walk(os.environ["M"] + "/srv/app"):
    os.chown(directory, OWNER, OWNER)
    for name in files:
        os.chown(os.path.join(directory, name), OWNER, OWNER)
