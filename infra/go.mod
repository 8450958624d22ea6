module prima.internal/infra

go 1.26.0

require prima.internal/app v0.0.0

replace prima.internal/app => ../app
