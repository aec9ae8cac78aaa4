"""The HTTP API: one Lambda behind a JWT authorizer. Three routes are open, since no token can be asked for there."""

from __future__ import annotations

import json
from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_apigatewayv2 as gateway
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.constructs.at_rest import AtRest
from infra.constructs.log import log_group
from infra.constructs.worker import Worker
from infra.findings import explain

GUARDED = "ANY /v1/{proxy+}"
CALLBACKS = "POST /v1/callbacks/{token}/{verb}"
OPEN = {
    "GET /v1/health": "Load balancers and uptime checks have no token; it tells that the API answers and whether the sweeper is on time.",
    "GET /v1/openapi.json": "The API's description is public, as the source is.",
    CALLBACKS: "The token in the path is the credential: 256 random bits, used once, compared in constant time.",
}
RATE_PER_S, BURST = 500, 1000  # of the whole API; each principal has a bucket of its own behind it

_LOGGED = (
    "requestId",
    "ip",
    "requestTime",
    "httpMethod",
    "routeKey",
    "status",
    "responseLength",
    "integrationLatency",
    "integrationErrorMessage",
)


class Door(Construct):
    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        worker: Worker,
        issuer: str,
        audience: Sequence[str],
        at_rest: AtRest,
    ) -> None:
        super().__init__(scope, id)
        stack = cdk.Stack.of(self)
        self.api = gateway.CfnApi(self, "Api", name=stack.stack_name, protocol_type="HTTP", description="treadle, as /v1 of its contract")
        self.log = log_group(self, "Log", at_rest=at_rest)
        self._stage()
        target = f"integrations/{self._integration(worker).ref}"
        authorizer = self._authorizer(issuer, audience)
        gateway.CfnRoute(
            self, "Guarded", api_id=self.api.ref, route_key=GUARDED, target=target, authorization_type="JWT", authorizer_id=authorizer.ref
        )
        for number, (route_key, reason) in enumerate(OPEN.items()):
            route = gateway.CfnRoute(
                self, f"Open{number}", api_id=self.api.ref, route_key=route_key, target=target, authorization_type="NONE"
            )
            explain(route, "AwsSolutions-APIG4", reason)

    @property
    def url(self) -> str:
        return self.api.attr_api_endpoint

    def _stage(self) -> None:
        gateway.CfnStage(
            self,
            "Stage",
            api_id=self.api.ref,
            stage_name="$default",
            auto_deploy=True,
            default_route_settings=gateway.CfnStage.RouteSettingsProperty(
                throttling_rate_limit=RATE_PER_S, throttling_burst_limit=BURST, detailed_metrics_enabled=True
            ),
            access_log_settings=gateway.CfnStage.AccessLogSettingsProperty(
                destination_arn=self.log.log_group_arn, format=json.dumps({name: f"$context.{name}" for name in _LOGGED})
            ),
        )

    def _integration(self, worker: Worker) -> gateway.CfnIntegration:
        integration = gateway.CfnIntegration(
            self,
            "Integration",
            api_id=self.api.ref,
            integration_type="AWS_PROXY",
            integration_uri=worker.function.function_arn,
            payload_format_version="2.0",
            timeout_in_millis=worker.declared.timeout_s * 1000,
        )
        any_route = cdk.Stack.of(self).format_arn(service="execute-api", resource=self.api.ref, resource_name="*/*")
        worker.function.add_permission("Door", principal=iam.ServicePrincipal("apigateway.amazonaws.com"), source_arn=any_route)
        return integration

    def _authorizer(self, issuer: str, audience: Sequence[str]) -> gateway.CfnAuthorizer:
        return gateway.CfnAuthorizer(
            self,
            "Authorizer",
            api_id=self.api.ref,
            authorizer_type="JWT",
            name="token",
            identity_source=["$request.header.Authorization"],
            jwt_configuration=gateway.CfnAuthorizer.JWTConfigurationProperty(issuer=issuer, audience=list(audience)),
        )
