module testbed/app

go 1.24.0
