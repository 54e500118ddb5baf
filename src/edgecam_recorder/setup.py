from setuptools import find_packages, setup

package = "edgecam_recorder"

setup(
    name=package,
    version="0.1.0",
    packages=find_packages(),
    package_data={package: ["py.typed"]},
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/" + package]),
        ("share/" + package, ["package.xml"]),
    ],
    install_requires=["setuptools"],
    zip_safe=False,
    maintainer="edgecam maintainers",
    maintainer_email="maintainers@edgecam.invalid",
    description="Records topics as MCAP files, and replays them.",
    license="Apache-2.0",
    extras_require={"test": ["pytest"]},
    entry_points={
        "console_scripts": [
            "recorder_node = edgecam_recorder.start:recorder",
        ],
    },
)
