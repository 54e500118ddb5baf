from setuptools import find_packages, setup

package_name = "ros2cli"

setup(
    name=package_name,
    version="0.1.0",
    packages=find_packages(),
    package_data={package_name: ["py.typed"]},
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/" + package_name]),
        ("share/" + package_name, ["package.xml"]),
    ],
    install_requires=["setuptools", "PyYAML"],
    extras_require={"test": ["pytest"]},
    zip_safe=False,
    maintainer="edgecam maintainers",
    maintainer_email="maintainers@edgecam.invalid",
    description="A small replacement for the ros2 command, for installations of ROS 2 from Python wheels",
    license="Apache-2.0",
    entry_points={"console_scripts": ["ros2 = ros2cli.cli:main"]},
)
