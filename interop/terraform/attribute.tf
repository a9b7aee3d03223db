resource "pingone_application_attribute_mapping" "nickname" {
  environment_id        = var.environment_id
  application_id        = pingone_application.bank.id
  name                  = "nickname"
  value                 = var.changed ? "$${user.name.given}" : "$${user.nickname}"
  required              = var.changed
  oidc_id_token_enabled = true
  oidc_userinfo_enabled = !var.changed
}
