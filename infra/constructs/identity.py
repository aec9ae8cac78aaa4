"""Who is who, where the deployment names no issuer of its own: a Cognito user pool with one group for each role."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_cognito as cognito
from constructs import Construct
from treadle.auth import Role

from infra.findings import explain


class Identity(Construct):
    """Users are made by an administrator, sign in with a second factor, and have the roles of the groups they are in."""

    def __init__(self, scope: Construct, id: str, *, removal: cdk.RemovalPolicy) -> None:
        super().__init__(scope, id)
        self.pool = cognito.UserPool(
            self,
            "Users",
            self_sign_up_enabled=False,
            sign_in_aliases=cognito.SignInAliases(email=True),
            mfa=cognito.Mfa.REQUIRED,
            mfa_second_factor=cognito.MfaSecondFactor(otp=True, sms=False),
            password_policy=cognito.PasswordPolicy(
                min_length=12, require_digits=True, require_lowercase=True, require_symbols=True, require_uppercase=True
            ),
            # Set when a user is made, never after: whoever could change it would see another tenant's runs.
            custom_attributes={"tenant": cognito.StringAttribute(mutable=False, max_len=64)},
            account_recovery=cognito.AccountRecovery.EMAIL_ONLY,
            deletion_protection=removal is cdk.RemovalPolicy.RETAIN,
            removal_policy=removal,
        )
        self.client = self.pool.add_client(
            "Client",
            auth_flows=cognito.AuthFlow(user_srp=True),
            disable_o_auth=True,
            write_attributes=cognito.ClientAttributes().with_standard_attributes(fullname=True),
            enable_token_revocation=True,
            prevent_user_existence_errors=True,
            access_token_validity=cdk.Duration.hours(1),
            id_token_validity=cdk.Duration.hours(1),
        )
        for role in Role:
            cognito.CfnUserPoolGroup(self, role.value.capitalize(), user_pool_id=self.pool.user_pool_id, group_name=role.value)
        _explain(self.pool)

    @property
    def issuer(self) -> str:
        return f"https://cognito-idp.{cdk.Aws.REGION}.{cdk.Aws.URL_SUFFIX}/{self.pool.user_pool_id}"

    @property
    def audience(self) -> str:
        return self.client.user_pool_client_id


def _explain(pool: cognito.UserPool) -> None:
    reason = "Threat protection is a paid plan, per user. Nobody signs up by himself here, and all sign in with a second factor."
    for rule in ("AwsSolutions-COG3", "AwsSolutions-COG8"):
        explain(pool, rule, reason)
