resource "pingone_mfa_settings" "this" {
  environment_id = var.environment_id

  pairing = {
    max_allowed_devices = var.changed ? 7 : 5
    pairing_key_format  = var.changed ? "ALPHANUMERIC" : "NUMERIC"
  }

  lockout = {
    failure_count    = var.changed ? 8 : 6
    duration_seconds = var.changed ? 120 : 60
  }
}

resource "pingone_mfa_device_policy" "app" {
  environment_id          = var.environment_id
  name                    = var.changed ? "With the app, changed" : "With the app"
  new_device_notification = "NONE"

  authentication = {
    device_selection = var.changed ? "PROMPT_TO_SELECT" : "DEFAULT_TO_FIRST"
  }

  remember_me = {
    web = {
      enabled = var.changed
      life_time = {
        duration  = var.changed ? 7 : 30
        time_unit = var.changed ? "DAYS" : "MINUTES"
      }
    }
  }

  sms   = { enabled = false }
  voice = { enabled = false }
  email = { enabled = false }

  totp = {
    enabled = true

    otp = {
      failure = {
        count = var.changed ? 4 : 3
        cool_down = {
          duration  = var.changed ? 3 : 2
          time_unit = "MINUTES"
        }
      }
    }
  }

  fido2 = { enabled = false }

  mobile = {
    enabled = true

    otp = {
      failure = {
        count = var.changed ? 4 : 3
        cool_down = {
          duration  = var.changed ? 180 : 2
          time_unit = var.changed ? "SECONDS" : "MINUTES"
        }
      }
    }

    applications = {
      (pingone_application.bank.id) = {
        auto_enrollment     = { enabled = !var.changed }
        integrity_detection = var.changed ? "restrictive" : "permissive"
        pairing_disabled    = var.changed
        otp                 = { enabled = true }

        device_authorization = {
          enabled            = true
          extra_verification = var.changed ? "restrictive" : "permissive"
        }

        push = {
          enabled         = true
          number_matching = { enabled = var.changed }
        }

        pairing_key_lifetime = {
          duration  = var.changed ? 1 : 10
          time_unit = var.changed ? "HOURS" : "MINUTES"
        }

        push_timeout = {
          duration  = var.changed ? 60 : 40
          time_unit = "SECONDS"
        }

        push_limit = {
          count = var.changed ? 6 : 5
          lock_duration = {
            duration  = var.changed ? 20 : 30
            time_unit = "MINUTES"
          }
          time_period = {
            duration  = var.changed ? 5 : 10
            time_unit = "MINUTES"
          }
        }
      }
    }
  }
}

resource "pingone_sign_on_policy" "strong" {
  environment_id = var.environment_id
  name           = var.changed ? "Strong-2" : "Strong"
  description    = var.changed ? "Password and app" : "Password, then app"
}

resource "pingone_sign_on_policy_action" "password" {
  environment_id    = var.environment_id
  sign_on_policy_id = pingone_sign_on_policy.strong.id
  priority          = 1

  login {
    recovery_enabled = var.changed
  }

  conditions {
    last_sign_on_older_than_seconds = var.changed ? 3600 : 1800
  }
}

resource "pingone_sign_on_policy_action" "app" {
  environment_id    = var.environment_id
  sign_on_policy_id = pingone_sign_on_policy.strong.id
  priority          = 2

  mfa {
    device_sign_on_policy_id = pingone_mfa_device_policy.app.id
    no_device_mode           = var.changed ? "BLOCK" : "BYPASS"
  }

  conditions {
    last_sign_on_older_than_seconds_mfa = var.changed ? 600 : 300
  }
}

resource "pingone_application_sign_on_policy_assignment" "bank" {
  environment_id    = var.environment_id
  application_id    = pingone_application.bank.id
  sign_on_policy_id = pingone_sign_on_policy.strong.id
  priority          = var.changed ? 2 : 1
}
