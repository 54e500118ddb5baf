from setuptools import find_packages, setup

package = "edgecam_ros"

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
    description="What the edgecam nodes share: parameters from tables, message conversion, diagnostics, lifecycle.",
    license="Apache-2.0",
    extras_require={"test": ["pytest"]},
    entry_points={
        "console_scripts": [
            "container_node = edgecam_ros.start:container",
        ],
        "launch.frontend.launch_extension": [
            "edgecam_ros = edgecam_ros.humble",
        ],
    },
)
