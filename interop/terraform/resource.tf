resource "pingone_resource" "payments" {
  environment_id                = var.environment_id
  name                          = var.changed ? "Payments 2" : "Payments"
  description                   = var.changed ? "The payments of the bank" : "Payments"
  audience                      = var.changed ? "https://payments2.example.org" : "https://payments.example.org"
  access_token_validity_seconds = var.changed ? 600 : 900
}

resource "pingone_resource_scope" "pay" {
  environment_id = var.environment_id
  resource_id    = pingone_resource.payments.id
  name           = var.changed ? "payments:make" : "payments:pay"
  description    = var.changed ? "Make a payment" : "Pay"
}

resource "pingone_resource_attribute" "branch" {
  environment_id     = var.environment_id
  resource_type      = "CUSTOM"
  custom_resource_id = pingone_resource.payments.id
  name               = "branch"
  value              = var.changed ? "$${user.nickname}" : "$${user.title}"
}

resource "pingone_application_resource_grant" "bank_pays" {
  environment_id     = var.environment_id
  application_id     = pingone_application.bank.id
  resource_type      = "CUSTOM"
  custom_resource_id = pingone_resource.payments.id
  scopes             = [pingone_resource_scope.pay.id]
}

data "pingone_resource_scope" "profile" {
  environment_id = var.environment_id
  resource_type  = "OPENID_CONNECT"
  name           = "profile"
}

resource "pingone_application_resource_grant" "bank_signs_on" {
  environment_id = var.environment_id
  application_id = pingone_application.bank.id
  resource_type  = "OPENID_CONNECT"
  scopes         = [data.pingone_resource_scope.profile.id]
}
