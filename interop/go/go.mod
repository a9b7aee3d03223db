module countersign.example/interop

go 1.25.6

require (
	github.com/patrickcping/pingone-go-sdk-v2/management v0.70.0
	github.com/patrickcping/pingone-go-sdk-v2/mfa v0.24.1
	golang.org/x/oauth2 v0.36.0
)
