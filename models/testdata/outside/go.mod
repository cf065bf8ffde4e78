module example.com/outside

go 1.26.0

require github.com/hone-ml/hone v0.0.0
