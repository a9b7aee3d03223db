# The bank's app, which becomes the authenticator.
resource "pingone_application" "bank" {
  environment_id         = var.environment_id
  name                   = var.changed ? "Bank app 2" : "Bank app"
  description            = var.changed ? "The second edition" : "The first edition"
  enabled                = true
  login_page_url         = var.changed ? "https://bank.example.org/in" : "https://bank.example.org/login"
  hidden_from_app_portal = var.changed

  oidc_options = {
    type                           = "NATIVE_APP"
    grant_types                    = var.changed ? ["AUTHORIZATION_CODE"] : ["AUTHORIZATION_CODE", "REFRESH_TOKEN"]
    response_types                 = ["CODE"]
    token_endpoint_auth_method     = "NONE"
    pkce_enforcement               = var.changed ? "S256_REQUIRED" : "REQUIRED"
    par_requirement                = "OPTIONAL"
    par_timeout                    = var.changed ? 90 : 60
    redirect_uris                  = var.changed ? ["org.example.bank://callback"] : ["org.example.bank://callback", "https://bank.example.org/callback"]
    post_logout_redirect_uris      = var.changed ? ["org.example.bank://bye"] : ["org.example.bank://out"]
    home_page_url                  = var.changed ? "https://bank.example.org/2" : "https://bank.example.org/1"
    initiate_login_uri             = var.changed ? "https://bank.example.org/start2" : "https://bank.example.org/start1"
    target_link_uri                = var.changed ? "https://bank.example.org/target2" : "https://bank.example.org/target1"
    refresh_token_duration         = var.changed ? 86400 : 172800
    refresh_token_rolling_duration = var.changed ? 172800 : 259200

    mobile_app = {
      bundle_id                = "org.example.bank"
      package_name             = "org.example.bank"
      universal_app_link       = var.changed ? "https://bank.example.org/app2" : "https://bank.example.org/app1"
      passcode_refresh_seconds = var.changed ? 45 : 30

      integrity_detection = {
        enabled            = true
        excluded_platforms = var.changed ? ["GOOGLE"] : ["IOS"]

        cache_duration = var.changed ? null : {
          amount = 30
          units  = "MINUTES"
        }

        google_play = var.changed ? null : {
          verification_type                = "GOOGLE"
          service_account_credentials_json = var.google_service_account_key
        }
      }
    }
  }
}

resource "pingone_mfa_application_push_credential" "android" {
  environment_id = var.environment_id
  application_id = pingone_application.bank.id

  fcm = {
    google_service_account_credentials = var.google_service_account_key
  }
}

resource "pingone_mfa_application_push_credential" "ios" {
  environment_id = var.environment_id
  application_id = pingone_application.bank.id

  apns = {
    key               = var.changed ? "KEYID00002" : "KEYID00001"
    team_id           = var.changed ? "TEAMID0002" : "TEAMID0001"
    token_signing_key = var.apns_signing_key
  }
}

# A web application with a secret, and all else by default.
resource "pingone_application" "shop" {
  environment_id = var.environment_id
  name           = "Shop"
  enabled        = var.changed

  oidc_options = {
    type                       = "WEB_APP"
    grant_types                = ["AUTHORIZATION_CODE"]
    response_types             = ["CODE"]
    token_endpoint_auth_method = "CLIENT_SECRET_BASIC"
    redirect_uris              = ["https://shop.example.org/callback"]

    cors_settings = {
      behavior = "ALLOW_SPECIFIC_ORIGINS"
      origins  = var.changed ? ["https://shop2.example.org"] : ["https://shop.example.org"]
    }
  }
}

resource "pingone_application_secret" "shop" {
  environment_id = var.environment_id
  application_id = pingone_application.shop.id
}

# An administrator of people, without a person.
resource "pingone_application" "importer" {
  environment_id = var.environment_id
  name           = "Importer of people"
  enabled        = true

  oidc_options = {
    type                       = "WORKER"
    grant_types                = ["CLIENT_CREDENTIALS"]
    token_endpoint_auth_method = "CLIENT_SECRET_POST"
  }
}

data "pingone_role" "identity_data_admin" {
  name = "Identity Data Admin"
}


resource "pingone_application_role_assignment" "importer" {
  environment_id       = var.environment_id
  application_id       = pingone_application.importer.id
  role_id              = data.pingone_role.identity_data_admin.id
  scope_environment_id = var.environment_id
}
