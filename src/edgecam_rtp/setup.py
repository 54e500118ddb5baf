from setuptools import find_packages, setup

package = "edgecam_rtp"

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
    description="H.265 over RTP, both ways: image topic to UDP and back, with capture time.",
    license="Apache-2.0",
    extras_require={"test": ["pytest"]},
    entry_points={
        "console_scripts": [
            "rtp_sender_node = edgecam_rtp.start:sender",
            "rtp_receiver_node = edgecam_rtp.start:receiver",
        ],
    },
)
